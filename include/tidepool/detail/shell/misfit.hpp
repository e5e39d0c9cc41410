// SPDX-License-Identifier: BSL-1.0
// tidepool - what the compiler says of a connection type and Traits that can make no pool, and a pool that stands in for one.
//
// Only one message is given, the first; and what stands in has the members of a pool without their bodies, so that no errors of the
// library's inside follow.
#ifndef TIDEPOOL_DETAIL_SHELL_MISFIT_HPP
#define TIDEPOOL_DETAIL_SHELL_MISFIT_HPP

#include <type_traits>

#include "../../config.hpp"
#include "../../fwd.hpp"
#include "../../source_location.hpp"
#include "../../states.hpp"
#include "../../stats.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/asio.hpp"
#include "traits_fit.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <misfit found>
struct connection_words {
  static_assert(found != misfit::connection_is_reference,
                "the connection type is a reference: pool the type itself, or a std::unique_ptr or std::shared_ptr to it");
  static_assert(found != misfit::connection_is_const, "the connection type is const: leave that away");
  static_assert(found != misfit::connection_is_no_object,
                "the connection type is no object type: pool a class, or a std::unique_ptr to one");
  static_assert(found != misfit::connection_is_incomplete, "the connection type is only declared here: include the header that defines it");
  static_assert(found != misfit::connection_destructor,
                "the destructor of the connection may throw, or is not public: write a public `~C() noexcept`");
  static_assert(found != misfit::connection_cannot_be_moved,
                "the connection type cannot be moved: give it a move constructor, or pool a std::unique_ptr to it");
  static_assert(found != misfit::usable, "usable() of the connection has another form: write `bool usable() const noexcept`");
  static_assert(found != misfit::after_lease,
                "after_lease() of the connection has another form: write `tidepool::lease_end after_lease() const noexcept`");
  static_assert(found != misfit::abort,
                "abort() of the connection may throw: write `void abort() noexcept`, or `void abort(std::string_view why) noexcept`");
  static_assert(found != misfit::rejected, "rejected() of the connection may throw: write `void rejected() noexcept`");
  static_assert(found != misfit::context_gone, "context_gone() of the connection may throw: write `void context_gone() noexcept`");
  static_assert(found != misfit::why_broken,
                "why_broken() of the connection has another form: write `std::string why_broken() const`, or return what a std::string can "
                "be made from");
  static_assert(found != misfit::lint,
                "lint() of the connection has another form: write `asio::awaitable<std::vector<tidepool::limit_finding>> lint(const "
                "tidepool::pool_config&)`");
  static_assert(found != misfit::last_round_trip,
                "last_round_trip() of the connection has another form: write `std::chrono::steady_clock::time_point last_round_trip() "
                "const noexcept`");
  static_assert(
      found != misfit::waiting_since,
      "waiting_since() of the connection has another form: write `std::chrono::steady_clock::time_point waiting_since() const noexcept`");
  static_assert(found != misfit::memory_bytes,
                "memory_bytes() of the connection has another form: write `std::size_t memory_bytes() const noexcept`");
  static_assert(found != misfit::driver_threads,
                "driver_threads() of the connection has another form: write `static std::size_t driver_threads() noexcept`");
  static_assert(found != misfit::ping,
                "ping() of the connection returns another awaitable: write `asio::awaitable<void> ping()`, or with a `std::string_view` as "
                "parameter, and throw when the connection is dead; a returned value would be ignored");
  static_assert(found != misfit::ping_text,
                "ping() of the connection takes its query in another form: write `asio::awaitable<void> ping(std::string_view query)`");
  static_assert(found != misfit::reset,
                "reset() of the connection returns another awaitable: write `asio::awaitable<void> reset()`, and throw when it cannot be "
                "reset; a returned value would be ignored");
  static_assert(
      found != misfit::close,
      "close() of the connection returns another awaitable: write `asio::awaitable<void> close()`; a returned value would be ignored");
};
template <misfit found>
struct traits_words {
  static_assert(
      found != misfit::no_executor_type,
      "the Traits lack executor_type: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(found != misfit::no_operation_executor,
                "the Traits lack operation_executor: derive them from tidepool::default_traits<Connection>, and declare again only what is "
                "to differ");
  static_assert(
      found != misfit::no_clock_type,
      "the Traits lack clock_type: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_mutex_type,
      "the Traits lack mutex_type: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_health_policy,
      "the Traits lack health_policy: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_leak_policy,
      "the Traits lack leak_policy: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_scaling_policy,
      "the Traits lack scaling_policy: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_lifetime_policy,
      "the Traits lack lifetime_policy: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_queue_policy,
      "the Traits lack queue_policy: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_breaker_policy,
      "the Traits lack breaker_policy: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(
      found != misfit::no_observer,
      "the Traits lack observer: derive them from tidepool::default_traits<Connection>, and declare again only what is to differ");
  static_assert(found != misfit::traits_of_another,
                "the Traits belong to another connection type: derive them from tidepool::default_traits<Connection> with the Connection "
                "of this pool");
  static_assert(found != misfit::executor,
                "Traits::executor_type is no executor: name the type of one, for example `asio::any_io_executor` or "
                "`asio::io_context::executor_type`");
  static_assert(found != misfit::operation_executor,
                "Traits::operation_executor is no executor: name the type of one, for example `asio::any_io_executor`");
  static_assert(found != misfit::operation_executor_conversion,
                "Traits::operation_executor cannot be made from executor_type: name the same type, or `asio::any_io_executor`");
  static_assert(found != misfit::clock,
                "Traits::clock_type is no clock: it needs `time_point`, `duration` and `static time_point now() noexcept`, as "
                "std::chrono::steady_clock");
  static_assert(found != misfit::mutex,
                "Traits::mutex_type is no mutex: it needs a default constructor, `void lock()` and `void unlock()`, as std::mutex or "
                "tidepool::null_mutex");
  static_assert(found != misfit::timer,
                "Traits::timer_type is no timer: it needs a constructor from executor_type, `expires_at(clock_type::time_point)` and "
                "`async_wait(void(error_code))`");
  static_assert(found != misfit::random_seed, "Traits::random_seed() has another form: write `static std::uint64_t random_seed()`");
  static_assert(found != misfit::sampling,
                "Traits::hold_sampling or hold_sampling_ramp has another form: write `static constexpr std::uint64_t hold_sampling = 64;`, "
                "and hold_sampling_ramp likewise");
  static_assert(found != misfit::coarse_lag,
                "Traits::coarse_now() needs a bound of its lag: write `static constexpr std::chrono::nanoseconds coarse_lag`");
  static_assert(found != misfit::connection_executor,
                "ping(), reset() or close() of the connection runs on another executor: write `asio::awaitable<void, E>` with E the "
                "operation_executor of the Traits, or change `operation_executor`");
};
template <misfit found>
struct policy_words {
  static_assert(
      found != misfit::health_switch,
      "Traits::health_policy lacks `static constexpr bool enabled`: derive it from tidepool::health_check or tidepool::no_health_check");
  static_assert(found != misfit::health_fresh_until,
                "Traits::health_policy: write `tick fresh_until(tick last_ok) const noexcept`, or derive it from tidepool::health_check or "
                "tidepool::no_health_check");
  static_assert(found != misfit::health_interval,
                "Traits::health_policy: write `duration interval() const noexcept`, or derive it from tidepool::health_check or "
                "tidepool::no_health_check");
  static_assert(found != misfit::health_config,
                "Traits::health_policy cannot be made from the configuration: write `explicit P(const tidepool::pool_config&)` for a "
                "policy P, or `using Base::Base;`");
  static_assert(found != misfit::validate,
                "validate() of the health policy has another form: write a public `asio::awaitable<void> validate(Connection&)`, and throw "
                "when the connection is bad; a returned value would be ignored");
  static_assert(found != misfit::validate_executor,
                "validate() of the health policy runs on another executor: write `asio::awaitable<void, E>` with E the operation_executor "
                "of the Traits, or change `operation_executor`");
  static_assert(
      found != misfit::leak_switch,
      "Traits::leak_policy lacks `static constexpr bool enabled`: derive it from tidepool::leak_detection or tidepool::no_leak_detection");
  static_assert(found != misfit::leak_report_after,
                "Traits::leak_policy: write `duration report_after() const noexcept`, or derive it from tidepool::leak_detection or "
                "tidepool::no_leak_detection");
  static_assert(found != misfit::leak_reclaim_after,
                "Traits::leak_policy: write `duration reclaim_after() const noexcept`, or derive it from tidepool::leak_detection or "
                "tidepool::no_leak_detection");
  static_assert(found != misfit::leak_config,
                "Traits::leak_policy cannot be made from the configuration: write `explicit P(const tidepool::pool_config&)` for a policy "
                "P, or `using Base::Base;`");
  static_assert(
      found != misfit::scaling_switch,
      "Traits::scaling_policy lacks `static constexpr bool enabled`: derive it from tidepool::utilization_scaling or tidepool::no_scaling");
  static_assert(found != misfit::scaling_interval,
                "Traits::scaling_policy: write `duration interval() const noexcept`, or derive it from tidepool::utilization_scaling or "
                "tidepool::no_scaling");
  static_assert(found != misfit::scaling_target,
                "Traits::scaling_policy: write `std::size_t target(const scaling_sample& sample) const noexcept`, or derive it from "
                "tidepool::utilization_scaling or tidepool::no_scaling");
  static_assert(found != misfit::scaling_config,
                "Traits::scaling_policy cannot be made from the configuration: write `explicit P(const tidepool::pool_config&)` for a "
                "policy P, or `using Base::Base;`");
  static_assert(found != misfit::lifetime_switch,
                "Traits::lifetime_policy lacks `static constexpr bool enabled`: derive it from tidepool::lifetime_recycling or "
                "tidepool::no_lifetime");
  static_assert(found != misfit::lifetime_hard_limit,
                "Traits::lifetime_policy: write `tick hard_limit(tick born) const noexcept`, or derive it from "
                "tidepool::lifetime_recycling or tidepool::no_lifetime");
  static_assert(found != misfit::lifetime_soft_limit,
                "Traits::lifetime_policy: write `tick soft_limit(tick born, double unit) const noexcept`, or derive it from "
                "tidepool::lifetime_recycling or tidepool::no_lifetime");
  static_assert(found != misfit::lifetime_gap,
                "Traits::lifetime_policy: write `duration gap(std::size_t size) const noexcept`, or derive it from "
                "tidepool::lifetime_recycling or tidepool::no_lifetime");
  static_assert(found != misfit::lifetime_worn_out,
                "Traits::lifetime_policy: write `bool worn_out(std::uint64_t uses) const noexcept`, or derive it from "
                "tidepool::lifetime_recycling or tidepool::no_lifetime");
  static_assert(found != misfit::lifetime_config,
                "Traits::lifetime_policy cannot be made from the configuration: write `explicit P(const tidepool::pool_config&)` for a "
                "policy P, or `using Base::Base;`");
  static_assert(found != misfit::queue,
                "Traits::queue_policy: write `static constexpr bool newest_first = true;`, or derive it from tidepool::fifo_queue or "
                "tidepool::fifo_queue_oldest_idle");
  static_assert(
      found != misfit::breaker_switch,
      "Traits::breaker_policy lacks `static constexpr bool enabled`: derive it from tidepool::circuit_breaker or tidepool::no_breaker");
  static_assert(found != misfit::breaker_state,
                "Traits::breaker_policy: write `breaker_state state() const noexcept`, or derive it from tidepool::circuit_breaker or "
                "tidepool::no_breaker");
  static_assert(found != misfit::breaker_retry_at,
                "Traits::breaker_policy: write `tick retry_at() const noexcept`, or derive it from tidepool::circuit_breaker or "
                "tidepool::no_breaker");
  static_assert(found != misfit::breaker_allows,
                "Traits::breaker_policy: write `bool allows(tick now, std::size_t connecting) const noexcept`, or derive it from "
                "tidepool::circuit_breaker or tidepool::no_breaker");
  static_assert(
      found != misfit::breaker_started,
      "Traits::breaker_policy: write `void started() noexcept`, or derive it from tidepool::circuit_breaker or tidepool::no_breaker");
  static_assert(
      found != misfit::breaker_succeeded,
      "Traits::breaker_policy: write `void succeeded() noexcept`, or derive it from tidepool::circuit_breaker or tidepool::no_breaker");
  static_assert(found != misfit::breaker_failed,
                "Traits::breaker_policy: write `void failed(tick now) noexcept`, or derive it from tidepool::circuit_breaker or "
                "tidepool::no_breaker");
  static_assert(found != misfit::breaker_undecided,
                "Traits::breaker_policy: write `void undecided(tick now) noexcept`, or derive it from tidepool::circuit_breaker or "
                "tidepool::no_breaker");
  static_assert(found != misfit::breaker_config,
                "Traits::breaker_policy cannot be made from the configuration: write `explicit P(const tidepool::pool_config&)` for a "
                "policy P, or `using Base::Base;`");
};
template <misfit found>
struct observer_words {
  static_assert(found != misfit::observer_move,
                "Traits::observer cannot be moved: give it a move constructor, and keep what cannot be moved in a std::shared_ptr");
  static_assert(found != misfit::observer_listens,
                "Traits::observer has no on_event(): write a public `void on_event(std::string_view pool, const E&)` with E an event of "
                "tidepool/events.hpp; a pointer to an observer is none");
  static_assert(found != misfit::observer_sees,
                "on_event() of the observer takes no event of the pool: write a public `void on_event(std::string_view pool, const E&)` "
                "with E an event of tidepool/events.hpp");
  static_assert(found != misfit::observer_exact,
                "an on_event() of the observer takes an event in another form: write `void on_event(std::string_view pool, const E&)`");
  static_assert(found != misfit::observer_hides,
                "on_event() of the observer hides those of tidepool::log_observer: write `using tidepool::log_observer::on_event;` in it");
  static_assert(found != misfit::recorder,
                "Traits::recorder_policy is no recorder: use tidepool::recorder of tidepool/policy/recorder.hpp, or derive it from that");
  static_assert(found != misfit::tracer,
                "Traits::tracer is no tracer: write `std::optional<tidepool::trace_context> start(const tidepool::trace_start&)` and "
                "`void end(const tidepool::trace_context&, const tidepool::trace_end&)`, or take tidepool::shared_tracer");
};
template <misfit found>
struct misfit_words : connection_words<found>, traits_words<found>, policy_words<found>, observer_words<found> {};

/// The pool's executor, where it is one.
template <class Traits>
struct executor_or_any {
  using type = asio::any_io_executor;
};
template <class Traits>
requires requires { typename Traits::executor_type; } && executor_form<typename Traits::executor_type>
struct executor_or_any<Traits> {
  using type = typename Traits::executor_type;
};

struct stand_in {};
template <class Executor>
struct stand_in_traits : default_traits<stand_in> {
  using executor_type = Executor;
  using operation_executor = Executor;
};
template <class Traits>
using stand_in_pool = basic_pool<stand_in, stand_in_traits<typename executor_or_any<Traits>::type>>;

template <class Connection, class Base>
class stand_in_lease : public Base {
  using target = std::conditional_t<std::is_void_v<Connection>, stand_in, std::remove_reference_t<Connection>>;

 public:
  stand_in_lease() noexcept;
  stand_in_lease(stand_in_lease&&) noexcept;
  stand_in_lease& operator=(stand_in_lease&&) noexcept;
  ~stand_in_lease();
  target& operator*() const noexcept;
  target* operator->() const noexcept;
  template <class T = target>
  T detach();
};

/// What any argument converts to.
struct anything {
  anything();
  template <class T>
  anything(T&&);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

template <class Connection, class Traits>
requires(detail::misfit_of<Connection, Traits> != detail::misfit::none) class basic_pool<Connection, Traits>
    : public detail::stand_in_pool<Traits> {
  using base = detail::stand_in_pool<Traits>;
  static_assert(sizeof(detail::misfit_words<detail::misfit_of<Connection, Traits>>) > 0);

 public:
  using connection_type = Connection;
  using traits_type = Traits;
  using lease = detail::stand_in_lease<Connection, typename base::lease>;
  using observer = detail::anything;
  using connector = detail::anything;
  template <class T>
  using awaitable = typename base::template awaitable<T>;

  template <class... Args>
  basic_pool(Args&&...);
  basic_pool(detail::anything, detail::anything, const pool_config&, detail::anything = {});
  ~basic_pool();
  awaitable<void> open();
  awaitable<void> open(duration);
  awaitable<lease> acquire(source_location = source_location::current());
  awaitable<lease> acquire(time_limit, source_location = source_location::current());
  template <class Token>
  auto async_acquire(time_limit, Token&& token, source_location = source_location::current()) {
    return asio::async_initiate<Token, void(error_code, lease)>([](auto) {}, token);
  }
  lease try_acquire(source_location = source_location::current()) noexcept;
  awaitable<void> close();
  awaitable<void> close(time_limit);
  pool_stats stats() const;
  pool_state state() const noexcept;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
