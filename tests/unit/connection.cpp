// tidepool - what the pool finds out about a connection type.
#include <tidepool/connection.hpp>

#include <chrono>

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
  void context_gone();
};

/// What came from a pool where these return whether all is well.
struct answering {
  asio::awaitable<bool> ping();
  asio::awaitable<bool> ping(std::string_view query);
  asio::awaitable<int> reset();
};
struct judge {
  asio::awaitable<bool> validate(bare&);
  asio::awaitable<void> validate(full&);
};

template <class C>
constexpr bool offers_nothing =
    !has_ping<C> && !has_ping_query<C> && !has_reset<C> && !has_close<C> && !has_usable<C> && !has_after_lease<C> && !has_abort<C> &&
    !has_last_round_trip<C, clock_type::time_point> && !has_watch<C> && !has_context_gone<C>;
static_assert(offers_nothing<bare>, "a connection needs only to be movable");
static_assert(offers_nothing<almost>, "what may throw or changes the connection is not taken for the real thing");
static_assert(has_ping<full> && has_ping_query<full> && has_reset<full> && has_close<full> && has_usable<full> && has_after_lease<full> &&
              has_abort<full> && has_last_round_trip<full, clock_type::time_point> && has_watch<full> && has_context_gone<full>);

template <class C>
constexpr bool each_fits = detail::usable_fits<C>&& detail::after_lease_fits<C>&& detail::abort_fits<C>&& detail::context_gone_fits<C>&&
    detail::ping_fits<C>&& detail::ping_query_fits<C>&& detail::reset_fits<C>;
static_assert(each_fits<bare> && each_fits<full>);
static_assert(!detail::usable_fits<almost> && !detail::after_lease_fits<almost> && !detail::abort_fits<almost> &&
                  !detail::context_gone_fits<almost>,
              "a pool of these does not compile, or nobody would notice that they are never called");
static_assert(!detail::ping_fits<answering> && !detail::ping_query_fits<answering> && !detail::reset_fits<answering>,
              "nor one of these, or nobody would notice that their answer is not heard");
static_assert(!detail::validate_fits<judge, bare> && detail::validate_fits<judge, full> && detail::validate_fits<bare, bare>);

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
