// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool: what users call.
#ifndef TIDEPOOL_BASIC_POOL_HPP
#define TIDEPOOL_BASIC_POOL_HPP

#include <concepts>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "advice.hpp"
#include "config.hpp"
#include "connect_context.hpp"
#include "detail/shell/arguments_fit.hpp"
#include "detail/shell/async_acquire.hpp"
#include "detail/shell/config_versions.hpp"
#include "detail/shell/event_log.hpp"
#include "detail/shell/pool_front.hpp"
#include "detail/util/attributes.hpp"
#include "detail/util/smaller.hpp"
#include "fwd.hpp"
#include "lease.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// A pool of connections. Every member may be called from several threads at once, unless `Traits::mutex_type` is `null_mutex`.
/// Awaitables must be awaited by coroutines whose executor type is `Traits::executor_type`; each completes on its own coroutine's executor.
/// The context of that executor must not be destroyed while a coroutine or handler of it waits in a pool of another context. Close or
/// destroy the pool first, and let the callers' context run until their waits have ended.
///
/// Destroying the pool is safe at any time: waiting callers fail with `errc::closed`, leases stay usable and are destroyed when they end.
/// An awaitable of the pool that was not awaited before that must not be awaited afterwards.
template <class Connection, class Traits>
class basic_pool {
  using impl = detail::pool_front<Connection, Traits>;

 public:
  using connection_type = Connection;
  using traits_type = Traits;
  using executor_type = typename Traits::executor_type;
  using clock_type = typename Traits::clock_type;
  /// The kind of timer the pool uses: `asio::steady_timer` with the default Traits, a virtual one in a simulation. A handler that waits by
  /// this type, made of its own executor, runs in virtual time as well.
  using timer_type = typename detail::timer_of<Traits>::type;
  using lease = basic_lease<Connection, Traits>;           ///< what `acquire()` returns
  using connect_context = typename impl::connect_context;  ///< what a connector is told
  using connector = typename impl::connector;              ///< any function that makes connections
  using observer = typename Traits::observer;
  using tracer = typename impl::tracer;  ///< of the Traits, or `null_tracer`
  /// What the coroutines of the pool return, for its executor.
  template <class T>
  using awaitable = asio::awaitable<T, executor_type>;

  /// `connect` is called as `connect(connect_context)`, or as `connect()`, for every new connection, and returns
  /// `asio::awaitable<Connection, Traits::operation_executor>` (see `connector_for`); an exception is a failed connect. It must be
  /// copyable; calls may overlap, also on different threads. Nothing is opened yet.
  /// Throws std::invalid_argument that names every fault of `config`. A connector with a member `check(const pool_config&)` is asked first,
  /// and throws where the configuration does not fit what it connects to.
  template <connector_for<Connection, Traits> Connect>
  basic_pool(executor_type executor, Connect connect, const pool_config& config = {},
             observer watcher = detail::default_observer<observer>(), tracer to = detail::default_tracer<tracer>())
      : fits_(detail::config_check_of(connect)),
        impl_(make(std::move(executor), std::move(connect), config, std::move(watcher), std::move(to))) {}
  /// The same with an execution context, for example an `asio::io_context`.
  template <detail::execution_context Context, connector_for<Connection, Traits> Connect>
  basic_pool(Context& context, Connect connect, const pool_config& config = {}, observer watcher = detail::default_observer<observer>(),
             tracer to = detail::default_tracer<tracer>())
      : basic_pool(executor_type(context.get_executor()), std::move(connect), config, std::move(watcher), std::move(to)) {}
  // Other arguments do not compile: these say why.
  template <class Place, class Connect>
  requires(!detail::is_place_for<Place, executor_type> || !connector_for<std::decay_t<Connect>, Connection, Traits>)
      basic_pool(Place&&, Connect&&, const pool_config& = {}, observer = detail::default_observer<observer>()) {
    constexpr bool runs = detail::is_place_for<Place, executor_type>;
    static_assert(runs,
                  "the first argument is an execution context or its executor, which must convert to the executor_type of the Traits; the "
                  "arguments are executor, connector, configuration, observer");
    if constexpr (runs) detail::explain_connector<std::decay_t<Connect>, Connection, Traits>();
  }
  template <class Place, class Connect, class Observer>
  requires(!std::is_convertible_v<Observer, observer>) basic_pool(Place&&, Connect&&, const pool_config&, Observer&&) {
    static_assert(std::is_convertible_v<Observer, observer>,
                  "the fourth argument is no Traits::observer: name its type in the Traits of the pool, `using observer = ...`");
  }
  template <class... Args>
  requires detail::no_pool_arguments<basic_pool, Args...>
  explicit basic_pool(Args&&...) {
    static_assert(sizeof...(Args) != 1, "the connector is missing: the arguments are executor, connector, configuration, observer");
    static_assert(sizeof...(Args) == 1, "the arguments are executor, connector, configuration, observer, in this order");
  }
  /// A pool by one URL for the pool and its driver, with the executor or context `place`:
  /// `postgres::pool db = postgres::pool::from_url(io, "postgres://app@db/shop?sslmode=require&pool_max_size=50&acquire_timeout=3s")`.
  /// See `pool_config::from_url()`; `base` is what the URL changes. For connections with a `connector_type` that is made of a URL. Throws
  /// std::invalid_argument, and what the connector throws.
  template <class Place, class C = Connection>
  requires std::constructible_from<typename C::connector_type, const std::string&>
  [[nodiscard]] static basic_pool from_url(Place&& place, const std::string& url, const pool_config& base = {},
                                           observer watcher = detail::default_observer<observer>(),
                                           tracer to = detail::default_tracer<tracer>()) {
    return basic_pool(std::forward<Place>(place), typename C::connector_type(url_without_pool_options(url)),
                      pool_config::from_url(url, base), std::move(watcher), std::move(to));
  }
  /// A null pointer is an unset environment variable.
  template <class Place, class C = Connection>
  requires std::constructible_from<typename C::connector_type, const std::string&>
  [[nodiscard]] static basic_pool from_url(Place&& place, const char* url, const pool_config& base = {},
                                           observer watcher = detail::default_observer<observer>(),
                                           tracer to = detail::default_tracer<tracer>()) {
    if (!url) throw std::invalid_argument("pool: the URL is a null pointer: is the environment variable set?");
    return from_url(std::forward<Place>(place), std::string(url), base, std::move(watcher), std::move(to));
  }
  basic_pool(const basic_pool&) = delete;
  basic_pool& operator=(const basic_pool&) = delete;
  ~basic_pool() {
    impl_->shut_down();
    impl_->log_to(nullptr);
  }

  /// Starts the pool. With `start_mode::fail_fast` (default) it waits until `min_size` connections are open. When connecting fails for
  /// good, or more than `max_retries` times in a row, it closes the pool and throws pool_error (`connect_failed`). Failures that pass by
  /// themselves (the server is full or starting up, no server has the wanted role) are retried for `patience` from now; by default for
  /// `acquire_timeout`, or `connect_timeout` if that is longer. With `lazy` it returns at once. The first acquire starts a pool as well.
  /// Cancellation (any type) ends the wait, not the pool.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<void> open(source_location where = source_location::current()) {
    return open(detail::larger_of(config().acquire_timeout, config().connect_timeout), where);
  }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<void> open(duration patience, source_location where = source_location::current()) {
    return impl_->open(patience, where);
  }

  /// A lease of a connection, first come, first served; waits for `config().acquire_timeout`. Throws pool_error, whose code is
  /// `timeout`, `closed`, `queue_full`, `circuit_open`, `connect_failed` or `cancelled`.
  /// Cancellation (any type) ends the wait; no connection is lost. Cost with an idle connection: one small coroutine frame, which
  /// Asio recycles, and at most one lock; no other allocation, no system call.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT), gnu::always_inline]] awaitable<lease> acquire(source_location where = source_location::current()) {
    const pool_config& now = config();
    return acquire_within(now, now.acquire_timeout, where);
  }
  /// The same with a timeout of its own, which covers queueing, validation and connecting. Zero or less: it never waits, takes a connection
  /// that is due for validation without one, and opens none for this caller.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT), gnu::always_inline]] awaitable<lease> acquire(time_limit timeout,
                                                                                    source_location where = source_location::current()) {
    return acquire_within(config(), timeout, where);
  }
  /// The same as part of a trace: where the Traits have a `tracer`, the span of this acquire, and those of the statements that this lease
  /// runs, belong to `parent`. Without a tracer it is ignored. Every acquire of a pool with a tracer is a span, also without a parent;
  /// `try_acquire()` is none.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<lease> acquire(const trace_context& parent,
                                                                source_location where = source_location::current()) {
    const pool_config& now = config();
    return acquire_traced(now, parent, now.acquire_timeout, where);
  }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<lease> acquire(const trace_context& parent, time_limit timeout,
                                                                source_location where = source_location::current()) {
    return acquire_traced(config(), parent, timeout, where);
  }
  /// The same for any completion token, of signature void(Failure, lease); completes on the token's associated executor, never inside this
  /// call. What a failure is told by depends on the token:
  /// - `asio::use_future` and `asio::use_awaitable` throw pool_error;
  /// - a callback that takes `(std::optional<pool_error>, lease)` or `(std::exception_ptr, lease)` gets that, empty where there is a lease;
  /// - every other callback or token gets `error_code`. That costs nothing; the other two are made only when the acquire fails.
  /// `async_acquire<Failure>(...)` with one of these three types decides it for any token, `asio::as_tuple` say.
  template <class Failure = void, class Token>
  auto async_acquire(time_limit timeout, Token&& token, source_location where = source_location::current()) {
    using failure = detail::failure_for<Failure, std::decay_t<Token>, lease>;
    return asio::async_initiate<Token, void(failure, lease)>(
        [](auto handler, std::shared_ptr<impl> pool, time_limit limit, source_location from) {
          detail::acquire_op<failure, lease, impl, decltype(handler)>::start(std::move(pool), limit, from, std::move(handler));
        },
        token, impl_, timeout, where);
  }
  /// The same as part of a trace; see `acquire()`.
  template <class Failure = void, class Token>
  auto async_acquire(const trace_context& parent, time_limit timeout, Token&& token, source_location where = source_location::current()) {
    using failure = detail::failure_for<Failure, std::decay_t<Token>, lease>;
    return asio::async_initiate<Token, void(failure, lease)>(
        [](auto handler, std::shared_ptr<impl> pool, const trace_context& within, time_limit limit, source_location from) {
          detail::acquire_op<failure, lease, impl, decltype(handler)>::start(std::move(pool), limit, from, std::move(handler), within);
        },
        token, impl_, parent, timeout, where);
  }
  /// An idle connection, or an empty lease if there is none or a caller waits for one. Never waits and makes no round trip, so a connection
  /// that is due for validation is handed out without one. Opens no connection for this caller; but the first call starts the pool, which
  /// then opens `min_size`.
  lease try_acquire(source_location where = source_location::current()) noexcept {
    impl& pool = *impl_;
    auto* const held = pool.take(where, true);
    if constexpr (impl::records) held ? pool.record_taken(*held, duration::zero(), true, where) : pool.record_missed(where);
    if (pool.config().track_stack_trace && held) [[unlikely]]
      pool.keep_stack(*held);
    if constexpr (impl::has_tracer) {
      if (held) detail::trace_in(held->target(), trace_context());
    }
    return detail::make_lease::of<lease>(held);
  }

  /// Closes the pool: refuses new acquires, fails waiting callers with `errc::closed`, closes idle connections gracefully, waits up to
  /// `grace` for leases (default `config().close_grace`) and then shuts their sockets. Returns when every connection is gone. A further
  /// call joins the close under way; the shortest grace counts. Cancellation (any type) ends the wait only.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<void> close(time_limit grace, source_location where = source_location::current()) {
    return impl_->close(grace, where);
  }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<void> close(source_location where = source_location::current()) {
    return close(impl_->config().close_grace, where);
  }

  /// Acquires wait (within their timeouts) until `resume()`, and no connection is opened. Leases stay as they are.
  void suspend() noexcept { impl_->suspend(); }
  /// Ends what `suspend()` began.
  void resume() noexcept { impl_->resume(); }
  /// Sets new bounds. Idle connections above `max` are closed at once, leased ones when their lease ends. Throws std::invalid_argument as
  /// the constructor does. `config()` stays as it is.
  void resize(std::size_t min, std::size_t max) {
    pool_config changed = impl_->config();
    changed.min_size = min;
    changed.max_size = max;
    detail::check_config(changed);
    if (fits_) fits_(changed);
    impl_->resize(min, max);
  }
  /// Another configuration, all of it at once: `auto c = pool.config(); c.max_size = 50; c.leak_timeout = 1min; pool.reconfigure(c);`.
  /// May be called at any time, on any thread. Everything that hangs on an option is set anew: timers, sizes, scaling, health, leaks,
  /// retries. What is under way keeps its bound: waits, operations, an open breaker, a pause of the back-off (but for a shorter
  /// `max_retry_delay`). Limits of age and idleness hold for connections that exist, leased ones from the end of their lease;
  /// `response_timeout` and the driver's `close_timeout` for connections made from now on. A policy of one's own hears of it by a member
  /// `void reconfigure(const pool_config&) noexcept`, else it stays as it is. Observers get a `reconfigured_event`.
  /// Throws std::invalid_argument that names every fault, before anything has changed: a broken rule, and `name` or `start` where they
  /// differ. Each call keeps some 700 bytes until the pool goes, because readers of `config()` take no lock.
  void reconfigure(const pool_config& next) {
    detail::check_change(impl_->config(), next);
    if (fits_) fits_(next);
    impl_->reconfigure(next);
  }
  /// Retires every connection made before now: idle ones at once, others when their lease or operation ends.
  void recycle() noexcept { impl_->recycle(); }
  /// Takes the connection of a lease from its holder, as `abandon_timeout` does by itself: shuts its socket, so that what the holder has
  /// under way on it fails at once and says so, and frees its place in the pool. `id` is that of the lease (`lease::id()`, `inspect()`).
  /// False: no lease of this connection is out. The holder's lease stays with it until it ends. For an operator, and for leases that
  /// nothing else ends; code that holds a lease calls `discard()`. Any thread; waits for nothing; looks through the leases.
  bool reclaim(connection_id id) noexcept { return impl_->reclaim(id); }

  /// From now on a line of text for each event goes to `out`, as `log_observer` words it, except checkouts and check-ins: leaks, the
  /// breaker, failed connects and acquires, connections that come and go, changes of state, from level `least` on. `nullptr` ends it.
  /// Beside an observer of `Traits`, which is told first. May be called at any time, on any thread, by the sink too. The sink may be called
  /// by several threads at once, never under the pool's lock, for nothing that happens after the pool's destructor; what it throws is
  /// ignored. It should own what it uses: where it is replaced, or its pool destroyed, a call on another thread may still be under way, and
  /// the sink is destroyed after that. Costs callers that are served nothing. Throws std::bad_alloc.
  void log_to(log_sink out, log_level least = log_level::info) { impl_->log_to(detail::event_log_of(std::move(out), least)); }

  /// The least level of the lines that go to the sink of `log_to()`, from now on; without a sink nothing changes. May be called at any
  /// time, on any thread.
  void set_log_level(log_level least) noexcept { impl_->set_log_level(least); }

  /// The flight recorder's events up to now, as a `recording`. For pools whose Traits have `recorder_policy = recorder`
  /// (policy/recorder.hpp), as the next two. Takes no lock; throws std::bad_alloc. Costs some 50 ns an event.
  auto recorded() const requires(impl::records) { return impl_->recorded(recording_reason::request); }
  /// From now on `out` gets the recordings that the pool makes when an acquire runs into its timeout, a leak is found or the breaker opens
  /// (`recording::reason`), in place of files (`pool_config::recorder_path`); `nullptr` ends it. It is called as `out(recording)` on the
  /// pool's executor, by several threads at once if that has several; what it throws is ignored. May be called at any time, on any thread.
  template <class Sink>
  void record_to(Sink out) requires(impl::records) {
    impl_->flight_recorder().sink(std::move(out));
  }
  /// Hands a recording out now as one that the pool makes by itself: on its executor, to the sink or a file.
  void record_now() noexcept requires(impl::records) { impl::record_out(impl_, recording_reason::request); }

  /// One consistent snapshot, of about 8 kB. Takes the lock once.
  pool_stats stats() const { return impl_->stats(); }
  /// Which `min_size` and `max_size` the load would have needed so that 99 of 100 acquires wait for `wait_goal` at most, and what to expect
  /// of sizes around that (advice.hpp). It changes nothing. Takes the lock once, and then some ten milliseconds of this thread; throws
  /// std::bad_alloc. What the pool saw while it was looked at counts, every `advice_interval`: nothing is known before.
  pool_advice advice() const { return impl_->advice(); }
  /// The pool at this moment in some ten lines for people: its state and why, who waits and from where, who holds what for how long,
  /// breaker, latest connect error, figures since the start. For a log, a debugger, or a handler of `asio::signal_set` for SIGUSR1; not for
  /// a signal handler. Takes the lock once; throws std::bad_alloc. The wording may change.
  std::string describe() const { return inspect(8, 3).describe(); }
  /// The same as data, for a page or a tool: the leases that are held longest and the callers that wait longest, at most so many of each.
  /// Takes the lock once, for a time that grows with both; throws std::bad_alloc.
  pool_inspection inspect(std::size_t most_leases = 64, std::size_t most_callers = 64) const {
    return impl_->inspect(most_leases, most_callers);
  }
  pool_state state() const noexcept { return impl_->state(); }  ///< at this moment; takes the lock once
  /// As given to the constructor or to the latest `reconfigure()`; `resize()` does not change it. Earlier ones stay valid as long as the
  /// pool.
  const pool_config& config() const noexcept { return impl_->config(); }
  executor_type get_executor() const noexcept { return impl_->executor(); }

 private:
  friend struct detail::make_lease;

  TIDEPOOL_ALWAYS_INLINE awaitable<lease> acquire_within(const pool_config& now, duration timeout, source_location where) {
    if constexpr (impl::has_tracer) return acquire_traced(now, trace_context(), timeout, where);
    if (now.track_stack_trace) [[unlikely]]
      return impl_->acquire_traced(timeout, where);
    return impl_->acquire(timeout, where);
  }
  awaitable<lease> acquire_traced(const pool_config& now, [[maybe_unused]] const trace_context& parent, duration timeout,
                                  source_location where) {
    if constexpr (impl::has_tracer) {
      return impl::acquire_in_span(impl_, parent, timeout, where, impl_->capture());
    } else {
      return acquire_within(now, timeout, where);
    }
  }
  template <class Connect>
  static std::shared_ptr<impl> make(executor_type executor, Connect connect, const pool_config& config, observer watcher, tracer to) {
    if (const auto fits = detail::config_check_of(connect)) fits(config);
    connector call;
    if constexpr (connector_with_context<Connect, Connection, Traits>) {
      call = std::move(connect);
    } else {
      call = [connect = std::move(connect)](connect_context) mutable { return connect(); };
    }
    return detail::pool_maker<Connection, Traits>::compiled_by_TIDEPOOL_INSTANTIATE_POOL(std::move(executor), std::move(call), config,
                                                                                         std::move(watcher), std::move(to));
  }

  std::function<void(const pool_config&)> fits_;
  std::shared_ptr<impl> impl_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#include "detail/shell/misfit.hpp"

/// `TIDEPOOL_DECLARE_POOL(C)` or `(C, T)`, at global scope, in a header that every file sees which makes a `basic_pool<C, T>`: none of them
/// compiles what the pool does; one file says TIDEPOOL_INSTANTIATE_POOL (instantiate.hpp). Files that only use a pool never do.
#define TIDEPOOL_DECLARE_POOL(...) extern template struct ::tidepool::detail::pool_maker<__VA_ARGS__>

#if TIDEPOOL_HEADER_ONLY
#include "detail/shell/pool_impl.hpp"
#endif

#endif
