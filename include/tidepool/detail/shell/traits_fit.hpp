// SPDX-License-Identifier: BSL-1.0
// tidepool - whether a connection type and Traits can make a pool: the first thing that is wrong with them. misfit.hpp has the words.
//
// A member of the right name and nearly the right form would otherwise be left alone without a word, or fail deep inside the pool.
#ifndef TIDEPOOL_DETAIL_SHELL_TRAITS_FIT_HPP
#define TIDEPOOL_DETAIL_SHELL_TRAITS_FIT_HPP

#include <concepts>
#include <cstdint>
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
template <class P, class C, class Executor>
inline constexpr bool validates_elsewhere = requires(P& p, C& c) {
  requires awaited_elsewhere<decltype(p.validate(c)), Executor>;
};

/// Traits without `connection_type` are for any.
template <class Traits, class C>
inline constexpr bool made_for_another = false;
template <class Traits, class C>
requires requires { typename Traits::connection_type; }
inline constexpr bool made_for_another<Traits, C> = !std::is_same_v<typename Traits::connection_type, C>;

template <class Traits>
inline constexpr bool has_timer_type = requires {
  typename Traits::timer_type;
};
template <class Traits>
inline constexpr bool seeds_random = requires {
  { Traits::random_seed() } -> std::convertible_to<std::uint64_t>;
};
template <class Traits>
inline constexpr bool has_sampling = requires {
  typename std::integral_constant<std::uint64_t, Traits::hold_sampling>;
  typename std::integral_constant<std::uint64_t, Traits::hold_sampling_ramp>;
};
template <class Traits>
inline constexpr bool has_coarse_lag = requires {
  { Traits::coarse_lag } -> std::convertible_to<duration>;
};

/// In the order in which they are looked for.
enum class misfit {
  none,
  connection_is_reference,
  connection_is_const,
  connection_is_no_object,
  connection_is_incomplete,
  connection_destructor,
  connection_cannot_be_moved,
  usable,
  after_lease,
  abort,
  rejected,
  context_gone,
  why_broken,
  lint,
  last_round_trip,
  waiting_since,
  memory_bytes,
  driver_threads,
  ping,
  ping_text,
  reset,
  close,
  no_executor_type,
  no_operation_executor,
  no_clock_type,
  no_mutex_type,
  no_health_policy,
  no_leak_policy,
  no_scaling_policy,
  no_lifetime_policy,
  no_queue_policy,
  no_breaker_policy,
  no_observer,
  traits_of_another,
  executor,
  operation_executor,
  operation_executor_conversion,
  clock,
  mutex,
  timer,
  random_seed,
  sampling,
  coarse_lag,
  connection_executor,
  health_switch,
  health_config,
  health_fresh_until,
  health_interval,
  validate,
  validate_executor,
  leak_switch,
  leak_config,
  leak_report_after,
  leak_reclaim_after,
  scaling_switch,
  scaling_config,
  scaling_interval,
  scaling_target,
  lifetime_switch,
  lifetime_config,
  lifetime_hard_limit,
  lifetime_soft_limit,
  lifetime_gap,
  lifetime_worn_out,
  queue,
  breaker_switch,
  breaker_config,
  breaker_state,
  breaker_retry_at,
  breaker_allows,
  breaker_started,
  breaker_succeeded,
  breaker_failed,
  breaker_undecided,
  observer_move,
  observer_listens,
  observer_exact,
  observer_sees,
  observer_hides,
  recorder,
  tracer
};

/// Each only asks what is safe to ask where those before it found nothing.
template <class Connection>
consteval misfit connection_misfit() {
  if constexpr (std::is_reference_v<Connection>) {
    return misfit::connection_is_reference;
  } else if constexpr (std::is_const_v<Connection>) {
    return misfit::connection_is_const;
  } else if constexpr (!std::is_object_v<Connection>) {
    return misfit::connection_is_no_object;
  } else if constexpr (!is_complete<Connection>) {
    return misfit::connection_is_incomplete;
  } else {
    using C = reached_t<Connection>;
    if (!std::is_nothrow_destructible_v<Connection>) return misfit::connection_destructor;
    if (!std::is_move_constructible_v<Connection>) return misfit::connection_cannot_be_moved;
    if (!usable_fits<C>) return misfit::usable;
    if (!after_lease_fits<C>) return misfit::after_lease;
    if (!abort_fits<C>) return misfit::abort;
    if (!rejected_fits<C>) return misfit::rejected;
    if (!context_gone_fits<C>) return misfit::context_gone;
    if (!why_broken_fits<C>) return misfit::why_broken;
    if (!lint_fits<C>) return misfit::lint;
    if (!last_round_trip_fits<C>) return misfit::last_round_trip;
    if (!waiting_since_fits<C>) return misfit::waiting_since;
    if (!memory_bytes_fits<C>) return misfit::memory_bytes;
    if (!driver_threads_fits<C>) return misfit::driver_threads;
    if (!ping_fits<C> || !ping_query_fits<C>) return misfit::ping;
    if (!ping_text_fits<C>) return misfit::ping_text;
    if (!reset_fits<C>) return misfit::reset;
    if (!close_fits<C>) return misfit::close;
    return misfit::none;
  }
}

/// A type that the Traits do not have.
template <class T>
consteval misfit name_misfit() {
  if (!requires { typename T::executor_type; }) return misfit::no_executor_type;
  if (!requires { typename T::operation_executor; }) return misfit::no_operation_executor;
  if (!requires { typename T::clock_type; }) return misfit::no_clock_type;
  if (!requires { typename T::mutex_type; }) return misfit::no_mutex_type;
  if (!requires { typename T::health_policy; }) return misfit::no_health_policy;
  if (!requires { typename T::leak_policy; }) return misfit::no_leak_policy;
  if (!requires { typename T::scaling_policy; }) return misfit::no_scaling_policy;
  if (!requires { typename T::lifetime_policy; }) return misfit::no_lifetime_policy;
  if (!requires { typename T::queue_policy; }) return misfit::no_queue_policy;
  if (!requires { typename T::breaker_policy; }) return misfit::no_breaker_policy;
  if (!requires { typename T::observer; }) return misfit::no_observer;
  return misfit::none;
}

/// Whether operations can run where the pool does: `To` is made from the pool's executor, or, under a mutex, from a strand on it.
template <class From, class To, class Mutex>
inline constexpr bool executor_converts =
    (!std::is_same_v<Mutex, null_mutex> && std::is_constructible_v<To, asio::strand<From>>) || std::is_convertible_v<From, To>;
// What the default Traits have. Asio checks a strand against seven properties, which is a twentieth of what a compiler does for a handler.
template <class Mutex>
inline constexpr bool executor_converts<asio::any_io_executor, asio::any_io_executor, Mutex> = true;

/// Where the pool runs.
template <class Connection, class T>
consteval misfit runtime_misfit() {
  using executor = typename T::executor_type;
  using operation_executor = typename T::operation_executor;
  if constexpr (made_for_another<T, Connection>) {
    return misfit::traits_of_another;
  } else if constexpr (!executor_form<executor>) {
    return misfit::executor;
  } else if constexpr (!executor_form<operation_executor>) {
    return misfit::operation_executor;
  } else if constexpr (!clock_form<typename T::clock_type>) {
    return misfit::clock;
  } else if constexpr (!mutex_form<typename T::mutex_type>) {
    return misfit::mutex;
  } else {
    if (!executor_converts<executor, operation_executor, typename T::mutex_type>) return misfit::operation_executor_conversion;
    if constexpr (has_timer_type<T>) {
      if (!timer_form<typename T::timer_type, executor, typename T::clock_type>) return misfit::timer;
    }
    if (!seeds_random<T>) return misfit::random_seed;
    if (!has_sampling<T>) return misfit::sampling;
    if (has_coarse_clock<T> && !has_coarse_lag<T>) return misfit::coarse_lag;
    if (!executors_fit<reached_t<Connection>, operation_executor>) return misfit::connection_executor;
    return misfit::none;
  }
}

template <class P, class C, class Executor>
consteval misfit health_misfit() {
  if constexpr (!has_switch<P>) {
    return misfit::health_switch;
  } else if constexpr (P::enabled) {
    if (!has_fresh_until<P>) return misfit::health_fresh_until;
    if (!has_interval<P>) return misfit::health_interval;
  }
  if (!made_from_config<P>) return misfit::health_config;
  if (!validate_fits<P, C>) return misfit::validate;
  if (validates<P, C> ? validates_elsewhere<P, C, Executor> : validates_elsewhere<P, reached_t<C>, Executor>)
    return misfit::validate_executor;
  return misfit::none;
}
template <class P>
consteval misfit leak_misfit() {
  if constexpr (!has_switch<P>) {
    return misfit::leak_switch;
  } else if constexpr (P::enabled) {
    if (!has_report_after<P>) return misfit::leak_report_after;
    if (!has_reclaim_after<P>) return misfit::leak_reclaim_after;
  }
  return made_from_config<P> ? misfit::none : misfit::leak_config;
}
template <class P>
consteval misfit scaling_misfit() {
  if constexpr (!has_switch<P>) {
    return misfit::scaling_switch;
  } else if constexpr (P::enabled) {
    if (!has_scaling_interval<P>) return misfit::scaling_interval;
    if (!has_target<P>) return misfit::scaling_target;
  }
  return made_from_config<P> ? misfit::none : misfit::scaling_config;
}
template <class P>
consteval misfit lifetime_misfit() {
  if constexpr (!has_switch<P>) {
    return misfit::lifetime_switch;
  } else if constexpr (P::enabled) {
    if (!has_hard_limit<P>) return misfit::lifetime_hard_limit;
    if (!has_soft_limit<P>) return misfit::lifetime_soft_limit;
    if (!has_gap<P>) return misfit::lifetime_gap;
    if (!has_worn_out<P>) return misfit::lifetime_worn_out;
  }
  return made_from_config<P> ? misfit::none : misfit::lifetime_config;
}
template <class P>
consteval misfit breaker_misfit() {
  if constexpr (!has_switch<P>) {
    return misfit::breaker_switch;
  } else if constexpr (P::enabled) {
    if (!has_state<P>) return misfit::breaker_state;
    if (!has_retry_at<P>) return misfit::breaker_retry_at;
    if (!has_allows<P>) return misfit::breaker_allows;
    if (!has_started<P>) return misfit::breaker_started;
    if (!has_succeeded<P>) return misfit::breaker_succeeded;
    if (!has_failed<P>) return misfit::breaker_failed;
    if (!has_undecided<P>) return misfit::breaker_undecided;
  }
  return made_from_config<P> ? misfit::none : misfit::breaker_config;
}
/// Traits may lack it.
template <class T>
consteval misfit tracer_misfit() {
  if constexpr (requires { typename T::tracer; }) {
    if (!tracer_form<typename T::tracer>) return misfit::tracer;
  }
  return misfit::none;
}
template <class O>
consteval misfit observer_misfit() {
  if (!std::move_constructible<O>) return misfit::observer_move;
  if (!observer_listens<O>) return misfit::observer_listens;
  if (!observer_is_exact<O>) return misfit::observer_exact;
  if (!observer_sees_something<O>) return misfit::observer_sees;
  if (!observer_hides_nothing<O>) return misfit::observer_hides;
  return misfit::none;
}

/// The first that is wrong.
template <class Connection, class Traits>
consteval misfit find_misfit() {
  if constexpr (connection_misfit<Connection>() != misfit::none) {
    return connection_misfit<Connection>();
  } else if constexpr (name_misfit<Traits>() != misfit::none) {
    return name_misfit<Traits>();
  } else if constexpr (runtime_misfit<Connection, Traits>() != misfit::none) {
    return runtime_misfit<Connection, Traits>();
  } else {
    using health = typename Traits::health_policy;
    for (const misfit found :
         {health_misfit<health, Connection, typename Traits::operation_executor>(), leak_misfit<typename Traits::leak_policy>(),
          scaling_misfit<typename Traits::scaling_policy>(), lifetime_misfit<typename Traits::lifetime_policy>(),
          queue_policy_form<typename Traits::queue_policy> ? misfit::none : misfit::queue,
          breaker_misfit<typename Traits::breaker_policy>(), observer_misfit<typename Traits::observer>(), tracer_misfit<Traits>(),
          recorder_form<typename recorder_of<Traits>::type> ? misfit::none : misfit::recorder}) {
      if (found != misfit::none) return found;
    }
    return misfit::none;
  }
}
template <class Connection, class Traits>
inline constexpr misfit misfit_of = find_misfit<Connection, Traits>();

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Traits that can make a pool of connections of this type.
template <class T, class Connection>
concept traits_for = poolable<Connection> && detail::misfit_of<Connection, T>
== detail::misfit::none;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
