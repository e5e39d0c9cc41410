// SPDX-License-Identifier: BSL-1.0
// tidepool - what the pool finds out about a connection type.
#include <tidepool/connect_context.hpp>
#include <tidepool/connection.hpp>
#include <tidepool/detail/shell/traits_fit.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "support/asio.hpp"
#include "support/catch.hpp"

namespace {

using namespace tidepool;
using clock_type = std::chrono::steady_clock;

struct bare {};

struct full {
  asio::awaitable<void> ping();
  asio::awaitable<void> ping(std::string_view query);
  asio::awaitable<void> reset();
  asio::awaitable<void> close();
  bool usable() const noexcept;
  lease_end after_lease() const noexcept;
  void abort() noexcept;
  clock_type::time_point last_round_trip() const noexcept;
  void watch(std::function<void()> gone);
  void rejected() noexcept;
  void context_gone() noexcept;
};

/// Everything is there, but in a form that cannot be relied upon.
struct almost {
  asio::awaitable<void> ping(int);
  bool usable() noexcept;
  lease_end after_lease() const;
  void abort();
  int last_round_trip() const noexcept;
  void watch();
  void rejected();
  void context_gone();
};

/// What came from a pool where these return whether all is well.
struct answering {
  asio::awaitable<bool> ping();
  asio::awaitable<bool> ping(std::string_view query);
  asio::awaitable<int> reset();
  asio::awaitable<bool> close();
};
/// What has these names for something else: a socket, a smart pointer, a program's own type.
struct namesake {
  void ping();
  bool ping(std::string_view query);
  void reset();
  error_code close();
  int reset(int);
};
/// Awaited, but not by Asio's coroutines, or by those of another executor.
struct task {
  bool await_ready();
};
struct foreign {
  task ping();
  task reset();
  task& close();
};
using other_executor = asio::io_context::executor_type;
struct elsewhere {
  asio::awaitable<void, other_executor> close();
};
struct judge {
  asio::awaitable<bool> validate(bare&);
  asio::awaitable<void> validate(full&);
};

template <class C>
constexpr bool offers_nothing =
    !has_ping<C> && !has_ping_query<C> && !has_reset<C> && !has_close<C> && !has_usable<C> && !has_after_lease<C> && !has_abort<C> &&
    !has_last_round_trip<C, clock_type::time_point> && !has_watch<C> && !has_rejected<C> && !has_context_gone<C>;
static_assert(offers_nothing<bare>, "a connection needs only to be movable");
static_assert(offers_nothing<almost>, "what may throw or changes the connection is not taken for the real thing");
static_assert(has_ping<full> && has_ping_query<full> && has_reset<full> && has_close<full> && has_usable<full> && has_after_lease<full> &&
              has_abort<full> && has_last_round_trip<full, clock_type::time_point> && has_watch<full> && has_rejected<full> &&
              has_context_gone<full>);

template <class C>
constexpr bool each_fits = detail::usable_fits<C>&& detail::after_lease_fits<C>&& detail::abort_fits<C>&& detail::rejected_fits<C>&&
    detail::context_gone_fits<C>&& detail::ping_fits<C>&& detail::ping_query_fits<C>&& detail::reset_fits<C>;
static_assert(each_fits<bare> && each_fits<full>);
static_assert(!detail::usable_fits<almost> && !detail::after_lease_fits<almost> && !detail::abort_fits<almost> &&
                  !detail::rejected_fits<almost> && !detail::context_gone_fits<almost>,
              "a pool of these does not compile, because their members would never be called");
static_assert(!detail::ping_fits<answering> && !detail::ping_query_fits<answering> && !detail::reset_fits<answering> &&
                  !detail::close_fits<answering>,
              "a pool of these does not compile, because the returned values would be ignored");
static_assert(!detail::ping_fits<foreign> && !detail::reset_fits<foreign> && !detail::close_fits<foreign>);
static_assert(offers_nothing<namesake> && each_fits<namesake> && detail::close_fits<namesake>, "what is not awaited is another thing");
static_assert(offers_nothing<asio::ip::tcp::socket> && each_fits<asio::ip::tcp::socket>);
static_assert(detail::executors_fit<full, asio::any_io_executor> && !detail::executors_fit<full, other_executor>);
static_assert(detail::executors_fit<elsewhere, other_executor> && !detail::executors_fit<elsewhere, asio::any_io_executor>);
static_assert(detail::executors_fit<namesake, other_executor> && detail::executors_fit<bare, other_executor>);

// Pointers that own are looked through.
struct unknown;
static_assert(std::is_same_v<detail::reached_t<std::unique_ptr<full>>, full> &&
              std::is_same_v<detail::reached_t<std::shared_ptr<full>>, full>);
static_assert(std::is_same_v<detail::reached_t<full*>, full*> && std::is_same_v<detail::reached_t<int>, int>);
static_assert(std::is_same_v<detail::reached_t<std::shared_ptr<void>>, std::shared_ptr<void>>);
static_assert(offers_nothing<detail::reached_t<std::unique_ptr<unknown>>>, "also where a C library keeps its type to itself");

struct misjudge {
  asio::awaitable<void> validate(const std::string&);
};
struct secret_judge {
 private:
  asio::awaitable<void> validate(bare&);
};
struct any_judge {
  template <class T>
  asio::awaitable<void> validate(T&);
};
static_assert(!detail::validate_fits<judge, bare> && detail::validate_fits<judge, full> && detail::validate_fits<bare, bare>);
static_assert(!detail::validate_fits<misjudge, bare> && !detail::validate_fits<judge, int> && !detail::validate_fits<secret_judge, bare>,
              "because it would never be called");
static_assert(detail::validate_fits<any_judge, bare> && detail::validate_fits<judge, std::unique_ptr<full>>);
static_assert(detail::validate_fits<health_check, bare> && detail::validate_fits<no_health_check, bare>);

struct nothing {};
static_assert(health_policy_form<health_check> && health_policy_form<no_health_check>);
static_assert(leak_policy_form<leak_detection> && leak_policy_form<no_leak_detection>);
static_assert(scaling_policy_form<utilization_scaling> && scaling_policy_form<no_scaling>);
static_assert(lifetime_policy_form<lifetime_recycling> && lifetime_policy_form<no_lifetime>);
static_assert(breaker_policy_form<circuit_breaker> && breaker_policy_form<no_breaker>);
static_assert(queue_policy_form<fifo_queue> && queue_policy_form<fifo_queue_oldest_idle>);
static_assert(!health_policy_form<nothing> && !leak_policy_form<nothing> && !scaling_policy_form<nothing> &&
              !lifetime_policy_form<nothing> && !breaker_policy_form<nothing> && !queue_policy_form<nothing>);

// What a pool is made of, as concepts.
struct throws_at_its_end {
  throws_at_its_end(throws_at_its_end&&) = default;
  ~throws_at_its_end() noexcept(false);
};
struct pinned {
  pinned(pinned&&) = delete;
};
struct asks_by_string {
  asio::awaitable<void> ping(std::string query);
};
struct asks_by_both {
  asio::awaitable<void> ping(std::string_view query);
  asio::awaitable<void> ping(std::string query);
};
static_assert(poolable<bare> && poolable<full> && poolable<namesake> && poolable<std::unique_ptr<unknown>> && poolable<int>);
static_assert(!poolable<bare&> && !poolable<const bare> && !poolable<void> && !poolable<unknown> && !poolable<void()>);
static_assert(!poolable<almost> && !poolable<answering> && !poolable<throws_at_its_end> && !poolable<pinned>);
static_assert(poolable<std::unique_ptr<pinned>> && !poolable<std::unique_ptr<almost>>);
static_assert(!poolable<asks_by_string> && poolable<asks_by_both>, "a query would never be given to the first");
static_assert(executor_form<asio::any_io_executor> && executor_form<other_executor> && !executor_form<asio::io_context>);
static_assert(clock_form<clock_type> && !clock_form<std::chrono::seconds> && mutex_form<null_mutex> && !mutex_form<int>);
static_assert(timer_form<asio::steady_timer, asio::any_io_executor, clock_type> && !timer_form<int, asio::any_io_executor, clock_type>);
static_assert(observer_form<null_observer> && observer_form<log_observer> && !observer_form<nothing> && !observer_form<log_observer*>);

/// With a switch that is no constant.
struct switched_at_run_time : leak_detection {
  using leak_detection::leak_detection;
  static inline bool enabled = true;
};
struct takes_no_config : leak_detection {
  takes_no_config() : leak_detection(pool_config()) {}
};
static_assert(!leak_policy_form<switched_at_run_time> && !leak_policy_form<takes_no_config> && policy_off<no_breaker>);

template <class T>
constexpr auto found = detail::misfit_of<bare, T>;
struct without_seed : default_traits<bare> {
  int random_seed;
};
struct on_a_context : default_traits<bare> {
  using executor_type = asio::io_context;
};
struct from_any : default_traits<bare> {
  using operation_executor = other_executor;
};
static_assert(traits_for<default_traits<bare>, bare> && !traits_for<default_traits<full>, bare> && !traits_for<nothing, bare>);
static_assert(found<default_traits<bare>> == detail::misfit::none && found<nothing> == detail::misfit::no_executor_type);
static_assert(found<default_traits<full>> == detail::misfit::traits_of_another && found<without_seed> == detail::misfit::random_seed);
static_assert(found<on_a_context> == detail::misfit::executor && found<from_any> == detail::misfit::operation_executor_conversion);

using with_context = asio::awaitable<full> (*)(connect_context_of<default_traits<full>>);
using without_context = asio::awaitable<full> (*)();
using of_another_type = asio::awaitable<bare> (*)();
using awaits_nothing = full (*)();
using of_another_executor = asio::awaitable<full, other_executor> (*)();
struct not_copyable {
  std::unique_ptr<int> owned;
  asio::awaitable<full> operator()();
};
static_assert(connector_for<with_context, full, default_traits<full>> && connector_for<without_context, full, default_traits<full>>);
static_assert(!connector_for<of_another_type, full, default_traits<full>> && !connector_for<awaits_nothing, full, default_traits<full>> &&
              !connector_for<of_another_executor, full, default_traits<full>> && !connector_for<not_copyable, full, default_traits<full>>);

TEST_CASE("given an attempt to connect, when its context is read, then it tells what the pool put in") {
  asio::io_context io;
  const clock_type::time_point deadline(std::chrono::seconds(5));
  const basic_connect_context<asio::io_context::executor_type, clock_type> context(io.get_executor(), deadline, 3, "orders");
  CHECK(context.executor() == io.get_executor());
  CHECK(context.deadline() == deadline);
  CHECK(context.attempt() == 3);
  CHECK(context.pool_name() == "orders");
}

}  // namespace
