// SPDX-License-Identifier: BSL-1.0
// tidepool - what a pool is made of has the form it must have: in words, and not by silence or by a hundred lines of the compiler's.
#ifndef TIDEPOOL_DETAIL_SHELL_TRAITS_FIT_HPP
#define TIDEPOOL_DETAIL_SHELL_TRAITS_FIT_HPP

#include <concepts>
#include <type_traits>

#include "../../connection.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A policy's own validation, by the type that is pooled or by what it points to.
template <class P, class C>
inline constexpr bool validates = requires(P& p, C& c) {
  p.validate(c);
};
template <class P, class C>
inline constexpr bool validates_awaited = requires(P& p, C& c) {
  { p.validate(c) } -> awaitable_void;
};
template <class P, class C>
inline constexpr bool validate_fits = validates<P, C>              ? validates_awaited<P, C>
                                      : validates<P, reached_t<C>> ? validates_awaited<P, reached_t<C>>
                                                                   : !has_validate<P>();

template <class P>
concept configured = std::constructible_from<P, const pool_config&> && requires {
  { P::enabled } -> std::convertible_to<bool>;
};
template <class P>
concept health_policy_form = configured<P> &&(!P::enabled || requires(const P& p, tick t) {
  { p.fresh_until(t) } -> std::convertible_to<tick>;
  { p.interval() } -> std::convertible_to<duration>;
});
template <class P>
concept leak_policy_form = configured<P> &&(!P::enabled || requires(const P& p) {
  { p.report_after() } -> std::convertible_to<duration>;
  { p.reclaim_after() } -> std::convertible_to<duration>;
});
template <class P>
concept scaling_policy_form = configured<P> &&(!P::enabled || requires(const P& p, const scaling_sample& s) {
  { p.interval() } -> std::convertible_to<duration>;
  { p.target(s) } -> std::convertible_to<std::size_t>;
});
template <class P>
concept lifetime_policy_form = configured<P> &&(!P::enabled || requires(const P& p, tick t) {
  { p.hard_limit(t) } -> std::convertible_to<tick>;
  { p.soft_limit(t, 0.5) } -> std::convertible_to<tick>;
  { p.gap(std::size_t{1}) } -> std::convertible_to<duration>;
  { p.worn_out(std::uint64_t{1}) } -> std::convertible_to<bool>;
});
template <class P>
concept breaker_policy_form = configured<P> &&(!P::enabled || requires(P & p, tick t) {
  { p.state() } -> std::same_as<breaker_state>;
  { p.retry_at() } -> std::convertible_to<tick>;
  { p.allows(t, std::size_t{0}) } -> std::convertible_to<bool>;
  p.started();
  p.succeeded();
  p.failed(t);
  p.undecided(t);
});
template <class P>
concept queue_policy_form = requires {
  { P::newest_first } -> std::convertible_to<bool>;
};

template <class Connection, class Traits>
struct members_fit {
  using C = reached_t<Connection>;
  static_assert(std::is_object_v<Connection> && std::is_move_constructible_v<Connection>,
                "a connection has to be movable; keep one that is not behind a std::unique_ptr");
  static_assert(usable_fits<C>, "usable() has to be const and noexcept, and to give a bool");
  static_assert(after_lease_fits<C>, "after_lease() has to be const and noexcept, and to give a lease_end");
  static_assert(abort_fits<C>, "abort() has to be noexcept");
  static_assert(context_gone_fits<C>, "context_gone() has to be noexcept");
  static_assert(ping_fits<C> && ping_query_fits<C>,
                "ping() has to return asio::awaitable<void>, and to throw when the connection is dead: what it returns is not heard");
  static_assert(reset_fits<C>, "reset() has to return asio::awaitable<void>, and to throw when it cannot: what it returns is not heard");
  static_assert(close_fits<C>, "close() has to return asio::awaitable<void>: what it returns is not heard");
  static_assert(why_broken_fits<C>, "why_broken() has to be const, and to give a text");
  static_assert(executors_fit<C, typename Traits::operation_executor>,
                "ping(), reset() and close() have to return asio::awaitable<void, Traits::operation_executor>");

  static_assert(health_policy_form<typename Traits::health_policy>, "Traits::health_policy: derive it from tidepool::health_check");
  static_assert(
      validate_fits<typename Traits::health_policy, Connection>,
      "the health policy's validate() has to take a reference to the connection, to return asio::awaitable<void>, and to throw to "
      "condemn the connection: what it returns is not heard");
  static_assert(leak_policy_form<typename Traits::leak_policy>, "Traits::leak_policy: it lacks what tidepool::leak_detection has");
  static_assert(scaling_policy_form<typename Traits::scaling_policy>,
                "Traits::scaling_policy: it lacks what tidepool::utilization_scaling has");
  static_assert(lifetime_policy_form<typename Traits::lifetime_policy>,
                "Traits::lifetime_policy: it lacks what tidepool::lifetime_recycling has");
  static_assert(breaker_policy_form<typename Traits::breaker_policy>,
                "Traits::breaker_policy: it lacks what tidepool::circuit_breaker has");
  static_assert(queue_policy_form<typename Traits::queue_policy>, "Traits::queue_policy: it lacks newest_first, see tidepool::fifo_queue");

  using observer = typename Traits::observer;
  static_assert(
      observer_sees_something<observer>,
      "the observer's on_event() takes none of the pool's events; it is called as on_event(std::string_view pool, const Event&), and "
      "has to be public");
  static_assert(observer_is_exact<observer>,
                "an on_event() of the observer takes an event in another form than on_event(std::string_view pool, const Event&)");
  static_assert(observer_hides_nothing<observer>,
                "the observer's on_event() hides those of log_observer: say `using tidepool::log_observer::on_event;`");
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
