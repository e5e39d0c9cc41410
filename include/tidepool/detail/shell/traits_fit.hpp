// SPDX-License-Identifier: BSL-1.0
// tidepool - checks of what a pool is made of, at compile time. Each message says what is wrong and what to write.
//
// A member of the right name and nearly the right form would otherwise be left alone without a word, or fail deep inside the pool.
#ifndef TIDEPOOL_DETAIL_SHELL_TRAITS_FIT_HPP
#define TIDEPOOL_DETAIL_SHELL_TRAITS_FIT_HPP

#include <concepts>
#include <type_traits>

#include "../../connection.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The policy has a `validate()` of its own for the pooled type or for what that points to.
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

/// Instantiated by `basic_pool`.
template <class Connection, class Traits>
struct members_fit {
  using C = reached_t<Connection>;
  static_assert(std::is_object_v<Connection> && std::is_move_constructible_v<Connection>,
                "the connection type cannot be moved: give it a move constructor, or pool a std::unique_ptr to it");
  static_assert(usable_fits<C>, "usable() of the connection has another form: write `bool usable() const noexcept`");
  static_assert(after_lease_fits<C>,
                "after_lease() of the connection has another form: write `tidepool::lease_end after_lease() const noexcept`");
  static_assert(abort_fits<C>, "abort() of the connection may throw: write `void abort() noexcept`");
  static_assert(rejected_fits<C>, "rejected() of the connection may throw: write `void rejected() noexcept`");
  static_assert(context_gone_fits<C>, "context_gone() of the connection may throw: write `void context_gone() noexcept`");
  static_assert(ping_fits<C> && ping_query_fits<C>,
                "ping() of the connection returns another awaitable: write `asio::awaitable<void> ping()`, or with a `std::string_view` as "
                "parameter, and throw when the connection is dead; a returned value would be ignored");
  static_assert(reset_fits<C>,
                "reset() of the connection returns another awaitable: write `asio::awaitable<void> reset()`, and throw when it cannot be "
                "reset; a returned value would be ignored");
  static_assert(close_fits<C>,
                "close() of the connection returns another awaitable: write `asio::awaitable<void> close()`; a returned value would be "
                "ignored");
  static_assert(why_broken_fits<C>,
                "why_broken() of the connection has another form: write `std::string why_broken() const`, or return what a std::string can "
                "be made from");
  static_assert(executors_fit<C, typename Traits::operation_executor>,
                "ping(), reset() or close() of the connection runs on another executor: write `asio::awaitable<void, E>` with E the "
                "operation_executor of the Traits, or change `operation_executor`");

  static_assert(health_policy_form<typename Traits::health_policy>,
                "Traits::health_policy lacks a member: derive it from tidepool::health_check or tidepool::no_health_check");
  static_assert(validate_fits<typename Traits::health_policy, Connection>,
                "validate() of the health policy has another form: write a public `asio::awaitable<void> validate(Connection&)`, and throw "
                "when the connection is bad; a returned value would be ignored");
  static_assert(leak_policy_form<typename Traits::leak_policy>,
                "Traits::leak_policy lacks a member: derive it from tidepool::leak_detection or tidepool::no_leak_detection");
  static_assert(scaling_policy_form<typename Traits::scaling_policy>,
                "Traits::scaling_policy lacks a member: derive it from tidepool::utilization_scaling or tidepool::no_scaling");
  static_assert(lifetime_policy_form<typename Traits::lifetime_policy>,
                "Traits::lifetime_policy lacks a member: derive it from tidepool::lifetime_recycling or tidepool::no_lifetime");
  static_assert(breaker_policy_form<typename Traits::breaker_policy>,
                "Traits::breaker_policy lacks a member: derive it from tidepool::circuit_breaker or tidepool::no_breaker");
  static_assert(queue_policy_form<typename Traits::queue_policy>,
                "Traits::queue_policy lacks newest_first: write `static constexpr bool newest_first = true;` or derive it from "
                "tidepool::fifo_queue");

  using observer = typename Traits::observer;
  static_assert(
      observer_sees_something<observer>,
      "on_event() of the observer takes no event of the pool: write a public `void on_event(std::string_view pool, const E&)` with "
      "E an event of tidepool/events.hpp");
  static_assert(observer_is_exact<observer>,
                "an on_event() of the observer takes an event in another form: write `void on_event(std::string_view pool, const E&)`");
  static_assert(observer_hides_nothing<observer>,
                "on_event() of the observer hides those of tidepool::log_observer: write `using tidepool::log_observer::on_event;` in it");
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
