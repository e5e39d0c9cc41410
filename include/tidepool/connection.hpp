// SPDX-License-Identifier: BSL-1.0
// tidepool - the members of a connection type that a pool uses. The type need only be movable; all these members are optional.
//
// `ping`, `reset` and `close` are used where they return an `asio::awaitable<void>`. One that returns no awaitable is taken for another
// function of the same name (a socket's `close()`) and ignored; one that returns another kind of awaitable does not compile, and neither do
// the other members in another form. For `std::unique_ptr<T>` and `std::shared_ptr<T>` the members of `T` are used; a null pointer is a
// connection that is not usable.
#ifndef TIDEPOOL_CONNECTION_HPP
#define TIDEPOOL_CONNECTION_HPP

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config.hpp"
#include "detail/util/asio.hpp"
#include "lint.hpp"
#include "states.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {

template <class T>
inline constexpr bool is_awaitable_void = false;
template <class Executor>
inline constexpr bool is_awaitable_void<asio::awaitable<void, Executor>> = true;
template <class T>
concept awaitable_void = is_awaitable_void<std::remove_cvref_t<T>>;
template <class T>
inline constexpr bool is_awaitable_findings = false;
template <class Executor>
inline constexpr bool is_awaitable_findings<asio::awaitable<std::vector<limit_finding>, Executor>> = true;
template <class T>
concept awaitable_findings = is_awaitable_findings<std::remove_cvref_t<T>>;

}  // namespace detail

/// `awaitable<void> ping()`: one round trip; throws when the connection does not work.
template <class C>
concept has_ping = requires(C& c) {
  { c.ping() } -> detail::awaitable_void;
};
/// `awaitable<void> ping(std::string_view query)`: the same with the pool's `validation_query`; without this member a pool refuses that
/// option.
template <class C>
concept has_ping_query = requires(C& c, std::string_view q) {
  { c.ping(q) } -> detail::awaitable_void;
};
/// `awaitable<void> reset()`: resets the session state at the end of a lease; throws when it cannot.
template <class C>
concept has_reset = requires(C& c) {
  { c.reset() } -> detail::awaitable_void;
};
/// `awaitable<void> close()`: closes gracefully: ends the session with the server's knowledge.
template <class C>
concept has_close = requires(C& c) {
  { c.close() } -> detail::awaitable_void;
};
/// `bool usable() const noexcept`: whether it may be handed out; makes no round trip. Called before an idle connection is handed out, after
/// every operation of the pool on it, and at the end of a lease where there is no `after_lease`.
template <class C>
concept has_usable = requires(const C& c) {
  { c.usable() }
  noexcept->std::convertible_to<bool>;
};
/// `lease_end after_lease() const noexcept`: what to do with it at the end of a lease; makes no system call. Without it, a type that has
/// `reset()` is reset at the end of every lease.
template <class C>
concept has_after_lease = requires(const C& c) {
  { c.after_lease() }
  noexcept->std::same_as<lease_end>;
};
/// `void abort() noexcept`: makes every operation of the connection, the running one and later ones, fail soon. May be called from another
/// thread while an operation runs.
template <class C>
concept has_abort = requires(C& c) {
  { c.abort() }
  noexcept;
};
/// `void abort(std::string_view why) noexcept`: the same with the pool's reason, which the operations that fail because of it should tell:
/// their caller cannot know it. One line such as "the pool took this connection back: held for 61 s, abandon_timeout is 60 s; acquired at
/// orders.cpp:42"; valid during the call. A type that has both forms gets this one.
template <class C>
concept has_abort_with_reason = requires(C& c, std::string_view why) {
  { c.abort(why) }
  noexcept;
};
/// `time_point last_round_trip() const noexcept`: when the server last answered; makes `alive_bypass` exact.
template <class C, class TimePoint>
concept has_last_round_trip = requires(const C& c) {
  { c.last_round_trip() }
  noexcept->std::convertible_to<TimePoint>;
};
/// `time_point waiting_since() const noexcept`: since when an answer of the server is awaited, the clock's zero when none is. Called from
/// any thread while an operation runs, under the pool's lock, so it should be one atomic load. Leases that wait for long are then reported
/// as waiting for a silent server, not as leaks.
template <class C, class TimePoint>
concept has_waiting_since = requires(const C& c) {
  { c.waiting_since() }
  noexcept->std::convertible_to<TimePoint>;
};
/// `void watch(std::function<void()> gone)`: call `gone` when the peer has closed, from any thread, but neither within this call nor while
/// a lock is held; an empty function ends that. The pool calls it once, before the first hand-out, and at `detach()`. An idle connection
/// whose peer has closed is then checked (`usable()`) at once, not only before its next hand-out.
template <class C>
concept has_watch = requires(C& c, std::function<void()> gone) {
  c.watch(std::move(gone));
};
/// `peer() const`, returning text: the server it is connected to ("db1:5432"), for events and error texts. Called from any
/// thread, also while a holder uses the connection, and under the pool's lock: it must be quick, and must not change with use.
template <class C>
concept has_peer = requires(const C& c) {
  std::string(c.peer());
};
/// `why_broken() const`, returning text without a secret: why it is not usable, or outdated; empty when unknown. Called before it is
/// destroyed, when no operation runs on it.
template <class C>
concept has_why_broken = requires(const C& c) {
  std::string(c.why_broken());
};
/// `void rejected() noexcept`: the health policy's `validate` refused it although it is usable: a replica that lags, say. Called without
/// the pool's lock, when nothing runs on it, before it is closed. A connection can tell its connector, which then tries other servers
/// first.
template <class C>
concept has_rejected = requires(C& c) {
  { c.rejected() }
  noexcept;
};
/// `awaitable<std::vector<limit_finding>> lint(const pool_config&)`: asks the server for its limits and tells what they say against the
/// configuration. A pool asks its first connection, as a part of its connect, where it has a log or an observer that hears of it; what it
/// throws is ignored.
template <class C>
concept has_lint = requires(C& c, const pool_config& config) {
  { c.lint(config) } -> detail::awaitable_findings;
};
/// `std::size_t memory_bytes() const noexcept`: what it holds of this process's memory, known or estimated, for `pool_stats::memory_bytes`.
/// Called under the pool's lock while nothing runs on it, so it must be quick, and make no system call.
template <class C>
concept has_memory_bytes = requires(const C& c) {
  { c.memory_bytes() }
  noexcept->std::same_as<std::size_t>;
};
/// `static std::size_t driver_threads() noexcept`: how many threads the driver runs in this process at this moment, for
/// `pool_stats::driver_threads`. From any thread, under the pool's lock: one atomic load.
template <class C>
concept has_driver_threads = requires {
  { C::driver_threads() }
  noexcept->std::same_as<std::size_t>;
};
/// `void context_gone() noexcept`: the execution context is being destroyed; destroy all I/O objects that use it.
template <class C>
concept has_context_gone = requires(C& c) {
  { c.context_gone() }
  noexcept;
};

namespace detail {

/// The object whose members are used: the connection, or what it points to.
template <class C>
struct reached {
  using type = C;
  static constexpr bool by_pointer = false;
};
template <class T, class Deleter>
requires(!std::is_void_v<T> && !std::is_array_v<T>) struct reached<std::unique_ptr<T, Deleter>> {
  using type = T;
  static constexpr bool by_pointer = true;
};
template <class T>
requires(!std::is_void_v<T> && !std::is_array_v<T>) struct reached<std::shared_ptr<T>> {
  using type = T;
  static constexpr bool by_pointer = true;
};
template <class C>
using reached_t = typename reached<C>::type;
/// Null where a holder has moved the pointer out of its lease.
template <class C>
auto* reach(C& connection) noexcept {
  if constexpr (reached<std::remove_const_t<C>>::by_pointer) {
    return std::to_address(connection);
  } else {
    return std::addressof(connection);
  }
}

// A member of the right name with a slightly wrong signature would be ignored without notice. The rest finds those, so that they do not
// compile.

template <class T>
inline constexpr bool is_asio_awaitable = false;
template <class T, class Executor>
inline constexpr bool is_asio_awaitable<asio::awaitable<T, Executor>> = true;
template <class T>
inline constexpr bool is_deferred_operation = false;
#if TIDEPOOL_ASIO_HAS_DEFERRED
template <class T>
requires asio::is_deferred<T>::value inline constexpr bool is_deferred_operation<T> = true;
#endif
template <class T>
concept has_co_await = requires(T&& t) {
  t.await_ready();
}
|| requires(T&& t) { std::forward<T>(t).operator co_await(); }
|| requires(T&& t) { operator co_await(std::forward<T>(t)); };
/// An awaitable, but not `asio::awaitable<void>`.
template <class T>
concept other_awaitable =
    !awaitable_void<T> && (is_asio_awaitable<std::remove_cvref_t<T>> || is_deferred_operation<std::remove_cvref_t<T>> || has_co_await<T>);

template <class C>
inline constexpr bool usable_fits = has_usable<C> || !requires(C & c) {
  c.usable();
};
template <class C>
inline constexpr bool after_lease_fits = has_after_lease<C> || !requires(C & c) {
  c.after_lease();
};
template <class C>
inline constexpr bool abort_fits = (has_abort<C> || !requires(C & c) { c.abort(); }) &&
                                   (has_abort_with_reason<C> || !requires(C & c, std::string_view why) { c.abort(why); });
template <class C>
inline constexpr bool context_gone_fits = has_context_gone<C> || !requires(C & c) {
  c.context_gone();
};
template <class C>
inline constexpr bool rejected_fits = has_rejected<C> || !requires(C & c) {
  c.rejected();
};
template <class C>
inline constexpr bool why_broken_fits = has_why_broken<C> || !requires(C & c) {
  c.why_broken();
};
/// The time of any clock will do: a pool whose clock is another does not ask for it.
template <class T>
inline constexpr bool is_time_point = requires {
  typename T::clock;
  typename T::duration;
};
template <class C>
inline constexpr bool last_round_trip_fits = requires(const C& c) {
  { c.last_round_trip() }
  noexcept;
  requires is_time_point<std::remove_cvref_t<decltype(c.last_round_trip())>>;
}
|| !requires(C & c) { c.last_round_trip(); };
template <class C>
inline constexpr bool waiting_since_fits = requires(const C& c) {
  { c.waiting_since() }
  noexcept;
  requires is_time_point<std::remove_cvref_t<decltype(c.waiting_since())>>;
}
|| !requires(C & c) { c.waiting_since(); };
template <class C>
inline constexpr bool lint_fits = has_lint<C> || !requires(C & c, const pool_config& config) {
  c.lint(config);
};
template <class C>
inline constexpr bool memory_bytes_fits = has_memory_bytes<C> || !requires(C & c) {
  c.memory_bytes();
};
template <class C>
inline constexpr bool driver_threads_fits = has_driver_threads<C> || !requires(C & c) {
  c.driver_threads();
};
template <class C>
inline constexpr bool ping_fits = !requires(C & c) {
  requires other_awaitable<decltype(c.ping())>;
};
template <class C>
inline constexpr bool ping_query_fits = !requires(C & c, std::string_view q) {
  requires other_awaitable<decltype(c.ping(q))>;
};
/// A query that is taken as a `std::string` or `const char*` would never be given.
template <class C>
inline constexpr bool ping_text_fits = has_ping_query<C> || !requires(C & c, std::string s, const char* p) {
  requires awaitable_void<decltype(c.ping(std::move(s)))> || awaitable_void<decltype(c.ping(p))>;
};
template <class C>
inline constexpr bool reset_fits = !requires(C & c) {
  requires other_awaitable<decltype(c.reset())>;
};
template <class C>
inline constexpr bool close_fits = !requires(C & c) {
  requires other_awaitable<decltype(c.close())>;
};

/// The pool's coroutines cannot await awaitables of another executor type.
template <class T, class Executor>
concept awaited_elsewhere = awaitable_void<T> && !std::is_same_v<std::remove_cvref_t<T>, asio::awaitable<void, Executor>>;
template <class C, class Executor>
concept pings_elsewhere = requires(C& c) {
  requires awaited_elsewhere<decltype(c.ping()), Executor>;
}
|| requires(C& c, std::string_view q) { requires awaited_elsewhere<decltype(c.ping(q)), Executor>; };
template <class C, class Executor>
concept resets_elsewhere = requires(C& c) {
  requires awaited_elsewhere<decltype(c.reset()), Executor>;
};
template <class C, class Executor>
concept closes_elsewhere = requires(C& c) {
  requires awaited_elsewhere<decltype(c.close()), Executor>;
};
template <class C, class Executor>
inline constexpr bool executors_fit = !pings_elsewhere<C, Executor> && !resets_elsewhere<C, Executor> && !closes_elsewhere<C, Executor>;

template <class C>
inline constexpr bool is_complete = requires {
  sizeof(C);
};
template <class C>
inline constexpr bool members_fit = usable_fits<C>&& after_lease_fits<C>&& abort_fits<C>&& rejected_fits<C>&& context_gone_fits<C>&&
    why_broken_fits<C>&& lint_fits<C>&& last_round_trip_fits<C>&& waiting_since_fits<C>&& memory_bytes_fits<C>&& driver_threads_fits<C>&&
        ping_fits<C>&& ping_query_fits<C>&& ping_text_fits<C>&& reset_fits<C>&& close_fits<C>;

}  // namespace detail

/// What a connection needs: it is a complete object type, not const, can be moved, and its destructor does not throw; and its members of
/// the names above have the forms above.
template <class C>
concept poolable = std::is_object_v<C> && !std::is_const_v<C> && detail::is_complete<C> && std::is_move_constructible_v<C> &&
                   std::is_nothrow_destructible_v<C> && detail::members_fit<detail::reached_t<C>>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
