// SPDX-License-Identifier: BSL-1.0
// tidepool - tests of the testing kit itself: time, order, choices, faults.
#include <tidepool/connect_context.hpp>
#include <tidepool/testing.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "../support/asio.hpp"
#include "../support/catch.hpp"
#include "../support/on_end.hpp"

using namespace std::chrono_literals;
namespace testing = tidepool::testing;
using testing::choice_source;
using testing::fake_connection;
using testing::operation;
using testing::simulation;
using testing::virtual_clock;
using testing::virtual_timer;
using tidepool::error_code;
using tidepool_tests::on_end;

namespace {

using context = tidepool::basic_connect_context<asio::any_io_executor, virtual_clock>;

context context_of(simulation& sim) { return {sim.get_executor(), sim.now() + 10s, 1, "pool"}; }

// Runs `body` to its end and tells what it threw.
template <class Body>
error_code outcome_of(simulation& sim, const Body& body) {
  error_code out = asio::error::would_block;
  const on_end at_end = [&](std::exception_ptr e) {
    out = {};
    try {
      if (e) std::rethrow_exception(e);
    } catch (const tidepool::system_error& error) {
      out = error.code();
    } catch (const std::exception&) {
      out = asio::error::fault;
    }
  };
  asio::co_spawn(sim.get_executor(), body(), at_end);
  sim.run_for(1h);
  return out;
}

fake_connection connected(simulation& sim, testing::world& server) {
  std::optional<fake_connection> out;
  const auto connector = server.connector();
  auto body = [&]() -> asio::awaitable<void> {
    fake_connection made = co_await connector(context_of(sim));
    out.emplace(std::move(made));
  };
  REQUIRE_FALSE(outcome_of(sim, body));
  return std::move(*out);
}

asio::awaitable<void> nap(virtual_clock::duration span, std::vector<int>& order, int id) {
  co_await testing::sleep_for(span);
  order.push_back(id);
}

}  // namespace

TEST_CASE("given sleeping coroutines, when the simulation runs, then they wake in order without a wait") {
  simulation sim(1);
  std::vector<int> order;
  asio::co_spawn(sim.get_executor(), nap(24h * 365, order, 3), asio::detached);
  asio::co_spawn(sim.get_executor(), nap(30min, order, 2), asio::detached);
  asio::co_spawn(sim.get_executor(), nap(1ns, order, 1), asio::detached);
  const auto start = virtual_clock::now();
  sim.run();
  CHECK(order == std::vector<int>{1, 2, 3});
  CHECK(virtual_clock::now() - start == 24h * 365);
}

TEST_CASE("given two simulations on a thread, when each runs, then each sees its own time") {
  auto first = std::make_unique<simulation>(1, virtual_clock::time_point(1h));
  auto second = std::make_unique<simulation>(1, virtual_clock::time_point(5h));
  virtual_clock::time_point seen{};
  asio::post(first->get_executor(), [&] { seen = virtual_clock::now(); });
  first->run();
  CHECK(seen == virtual_clock::time_point(1h));
  CHECK(virtual_clock::now() == virtual_clock::time_point(5h));
  CHECK(simulation::current() == second.get());
  first.reset();
  CHECK(virtual_clock::now() == virtual_clock::time_point(5h));
  second.reset();
  CHECK(virtual_clock::now() == virtual_clock::time_point{});
  CHECK(simulation::current() == nullptr);
}

TEST_CASE("given a limit, when the simulation runs until it, then what is due at it has run, no more") {
  simulation sim(1);
  std::vector<int> order;
  asio::co_spawn(sim.get_executor(), nap(1s, order, 1), asio::detached);
  asio::co_spawn(sim.get_executor(), nap(1s + 1ns, order, 2), asio::detached);
  sim.run_for(1s);
  CHECK(order == std::vector<int>{1});
  CHECK(sim.now() == simulation::default_start + 1s);
  sim.run_for(1ns);
  CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("given a handler that posts itself for ever, when the simulation runs, then the step bound ends it") {
  simulation sim(1);
  struct spinner {
    asio::any_io_executor executor;
    void operator()() const { asio::post(executor, *this); }
  };
  asio::post(sim.get_executor(), spinner{sim.get_executor()});
  CHECK_THROWS_AS(sim.run(1000), std::runtime_error);
}

TEST_CASE("given ready handlers, when seeds differ, then orders differ; equal seeds have equal traces") {
  const auto order_of = [](std::uint64_t seed) {
    simulation sim(seed);
    std::string order;
    for (char c = 'a'; c < 'f'; ++c) asio::post(sim.get_executor(), [&order, c] { order += c; });
    sim.run();
    return order + std::to_string(sim.trace());
  };
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    seen.insert(order_of(seed).substr(0, 5));
    REQUIRE(order_of(seed) == order_of(seed));
  }
  CHECK(seen.size() > 60);  // of 120
}

TEST_CASE("given a recorded run, when it is replayed as values or as text, then it is the same run") {
  std::vector<std::uint32_t> record;
  const auto run = [&record](choice_source choices) {
    simulation sim(choices);
    std::string order;
    for (int i = 0; i < 20; ++i) asio::post(sim.get_executor(), [&order, i] { order += static_cast<char>('a' + i); });
    sim.run();
    record = choices.values();
    return order;
  };
  const std::string first = run(choice_source::random(42));
  const auto values = record;
  CHECK(first != "abcdefghijklmnopqrst");
  CHECK(run(choice_source::replay(values)) == first);
  CHECK(run(choice_source::replay(testing::record_from_text(testing::to_text(values)))) == first);
  CHECK(run(choice_source::replay({})) == "abcdefghijklmnopqrst");
}

TEST_CASE("given records, when they become text and come back, then only trailing zeros are lost") {
  using numbers = std::vector<std::uint32_t>;
  CHECK(testing::to_text(numbers{0, 0, 0, 5, 5, 1, 0, 0}) == "0*3,5*2,1");
  CHECK(testing::record_from_text("0*3,5*2,1") == numbers{0, 0, 0, 5, 5, 1});
  CHECK(testing::to_text(numbers{}) == "0");
  CHECK(testing::record_from_text("3,x,4") == numbers{3});
  CHECK(testing::record_from_text("1*99999999999999").size() == 10'000'000);
}

TEST_CASE("given three handlers in exhaustive mode, when all runs are done, then each order was seen once") {
  auto choices = choice_source::exhaustive(12);
  std::vector<std::string> seen;
  do {
    simulation sim(choices);
    std::string order;
    for (char c = 'a'; c < 'd'; ++c) asio::post(sim.get_executor(), [&order, c] { order += c; });
    sim.run();
    seen.push_back(order);
  } while (choices.next());
  std::sort(seen.begin(), seen.end());
  CHECK(seen == std::vector<std::string>{"abc", "acb", "bac", "bca", "cab", "cba"});
}

TEST_CASE("given lanes in priority mode, when nothing demotes them, then one runs to its end first") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto choices = choice_source::pct(seed, 1, 100);
    simulation sim(choices);
    std::string order;
    const auto a = sim.lane();
    const auto b = sim.lane();
    for (int i = 0; i < 3; ++i) {
      asio::post(a, [&] { order += 'a'; });
      asio::post(b, [&] { order += 'b'; });
    }
    sim.run();
    REQUIRE((order == "aaabbb" || order == "bbbaaa"));
  }
}

TEST_CASE("given a wait, when its timer is cancelled, re-armed or destroyed, then it ends once, aborted") {
  const int way = GENERATE(0, 1, 2, 3);
  simulation sim(1);
  auto timer = std::make_unique<virtual_timer>(sim.get_executor());
  asio::cancellation_signal signal;
  std::vector<error_code> seen;
  timer->expires_after(1s);
  timer->async_wait(asio::bind_cancellation_slot(signal.slot(), [&](error_code ec) { seen.push_back(ec); }));
  if (way == 0) timer->cancel();
  if (way == 1) timer->expires_after(5s);
  if (way == 2) timer.reset();
  if (way == 3) signal.emit(asio::cancellation_type::total);
  CHECK(seen.empty());  // never inline
  sim.run();
  signal.emit(asio::cancellation_type::total);
  CHECK(seen == std::vector<error_code>{asio::error::operation_aborted});
  CHECK(sim.pending_waits() == 0);
}

TEST_CASE("given an expired wait, when it is cancelled before its handler runs, then that sees success") {
  simulation sim(1);
  virtual_timer timer(sim.get_executor());
  std::vector<error_code> seen;
  timer.expires_at(sim.now());
  timer.async_wait([&](error_code ec) { seen.push_back(ec); });
  CHECK_FALSE(sim.quiet());
  CHECK(timer.cancel() == 0);
  sim.run();
  CHECK(seen == std::vector<error_code>{error_code{}});
}

TEST_CASE("given a pending wait, when it is rescheduled, then it ends at the new time") {
  simulation sim(1);
  virtual_timer timer(sim.get_executor());
  virtual_clock::time_point at{};
  timer.expires_at(virtual_clock::time_point::max());
  timer.async_wait([&](error_code) { at = sim.now(); });
  timer.reschedule(sim.now() + 3s);
  sim.run();
  CHECK(at == simulation::default_start + 3s);
}

TEST_CASE("given an executor of another context, when a virtual timer is made from it, then it is refused") {
  asio::io_context other;
  CHECK_THROWS_AS(virtual_timer(other.get_executor()), std::logic_error);
}

TEST_CASE("given suspended coroutines, when the simulation ends, then they are destroyed without running") {
  bool destroyed = false;
  bool ran = false;
  {
    simulation sim(1);
    struct flag {
      explicit flag(bool& b) : set(b) {}
      ~flag() { set = true; }
      bool& set;
    };
    auto body = [&]() -> asio::awaitable<void> {
      flag f(destroyed);
      co_await testing::sleep_for(1h);
      ran = true;
    };
    asio::co_spawn(sim.get_executor(), body(), asio::detached);
    sim.run_for(1s);
    CHECK_FALSE(destroyed);
  }
  CHECK(destroyed);
  CHECK_FALSE(ran);
}

TEST_CASE("given a mutex that is held, when a handler is posted, then the simulation throws after the step") {
  simulation sim(1);
  testing::checked_mutex mutex;
  asio::post(sim.get_executor(), [&] {
    mutex.lock();
    asio::post(sim.get_executor(), [] {});
    mutex.unlock();
  });
  CHECK_THROWS_AS(sim.run(), std::logic_error);
  mutex.lock();
  CHECK_FALSE(mutex.try_lock());
  CHECK_THROWS_AS(mutex.lock(), std::logic_error);
  mutex.unlock();
  (void)testing::checked_mutex::take_fault();  // making the exception has allocated under the lock
}

TEST_CASE("given a server that is up, when a connection is used, then everything works and counts") {
  simulation sim(1);
  testing::world server(sim);
  std::uint64_t answer = 0;
  {
    fake_connection connection = connected(sim, server);
    CHECK(server.counts().open == 1);
    CHECK(server.counts().connecting == 0);
    CHECK(connection.usable());
    CHECK(connection.after_lease() == tidepool::lease_end::clean);
    connection.begin_transaction();
    CHECK(connection.after_lease() == tidepool::lease_end::needs_reset);
    auto body = [&]() -> asio::awaitable<void> {
      answer = co_await connection.query(7);
      co_await connection.ping();
      co_await connection.reset();
    };
    CHECK_FALSE(outcome_of(sim, body));
    CHECK(answer == 7);
    CHECK(connection.after_lease() == tidepool::lease_end::clean);
    auto closed = [&]() -> asio::awaitable<void> { co_await connection.close(); };
    CHECK_FALSE(outcome_of(sim, closed));
    CHECK(server.counts().open == 0);
    CHECK_FALSE(connection.usable());
  }
  CHECK(server.counts().connects == 1);
  CHECK(server.counts().operations == 4);
  CHECK(server.violations().empty());
}

TEST_CASE("given a server that does not take connects, when one is tried, then it fails in the kind that fits") {
  using testing::server_state;
  const auto state = GENERATE(server_state::down, server_state::starting, server_state::full, server_state::unreachable);
  simulation sim(1);
  testing::world server(sim);
  server.state(state);
  const auto connector = server.connector();
  auto seen = tidepool::failure_kind::permanent;
  auto body = [&]() -> asio::awaitable<void> {
    try {
      co_await connector(context_of(sim));
    } catch (const tidepool::connect_error& e) {
      seen = e.kind();
    }
  };
  CHECK_FALSE(outcome_of(sim, body));
  using tidepool::failure_kind;
  const auto fits = state == server_state::full       ? failure_kind::server_full
                    : state == server_state::starting ? failure_kind::starting
                    : state == server_state::down     ? failure_kind::refused
                                                      : failure_kind::transient;
  CHECK(seen == fits);
  CHECK(server.counts().open == 0);
}

TEST_CASE("given connections, when the server goes down, then operations fail, usable() tells if it can", "[B074]") {
  const bool unseen = GENERATE(false, true);
  simulation sim(1);
  testing::world server(sim);
  fake_connection connection = connected(sim, server);
  server.plan().unseen_death = unseen ? 1 : 0;
  server.plan()[operation::ping].hangs = 1;
  auto body = [&]() -> asio::awaitable<void> { co_await connection.ping(); };
  error_code result;
  const on_end at_end = [&](std::exception_ptr e) {
    try {
      if (e) std::rethrow_exception(e);
    } catch (const tidepool::system_error& error) {
      result = error.code();
    }
  };
  asio::co_spawn(sim.get_executor(), body(), at_end);
  sim.run_for(1h);
  CHECK_FALSE(result);
  server.state(testing::server_state::down);
  sim.run_for(1s);
  CHECK(result == asio::error::connection_reset);
  CHECK(connection.session().is_dead());
}

TEST_CASE("given an operation that hangs, when it is aborted, then it fails at once, the socket is closed") {
  simulation sim(1);
  testing::world server(sim);
  fake_connection connection = connected(sim, server);
  server.plan()[operation::query].hangs = 1;
  server.plan()[operation::query].cancel_ignored = 1;
  asio::post(sim.get_executor(), [&] { connection.abort(); });
  const auto began = sim.now();
  virtual_clock::time_point ended{};
  auto body = [&]() -> asio::awaitable<void> {
    try {
      co_await connection.query(1);
    } catch (const tidepool::system_error&) {
      ended = sim.now();
    }
  };
  CHECK_FALSE(outcome_of(sim, body));
  CHECK(ended == began);
  CHECK(server.counts().open == 0);
}

TEST_CASE("given a query that hangs, when it is cancelled, then it reacts as the plan says") {
  struct row {
    double late, ignored, succeeds;
    error_code result;
    virtual_clock::duration after;
  };
  const std::vector<row> rows{{0, 0, 0, asio::error::operation_aborted, 1s},
                              {1, 0, 0, asio::error::operation_aborted, 1s + 20ms},
                              {0, 1, 0, {}, 1min},
                              {0, 0, 1, {}, 1s}};
  for (const row& r : rows) {
    simulation sim(1);
    testing::world server(sim);
    fake_connection connection = connected(sim, server);
    auto& query = server.plan()[operation::query];
    query.latency = 1min;
    query.cancel_late = r.late;
    query.cancel_ignored = r.ignored;
    query.cancel_succeeds = r.succeeds;
    const auto began = sim.now();
    virtual_clock::duration took{};
    error_code result = asio::error::would_block;
    asio::cancellation_signal signal;
    auto body = [&]() -> asio::awaitable<void> { co_await connection.query(1); };
    const on_end at_end = [&](std::exception_ptr e) {
      took = sim.now() - began;
      result = {};
      try {
        if (e) std::rethrow_exception(e);
      } catch (const tidepool::system_error& error) {
        result = error.code();
      }
    };
    asio::co_spawn(sim.get_executor(), body(), asio::bind_cancellation_slot(signal.slot(), at_end));
    sim.run_for(1s);
    signal.emit(asio::cancellation_type::terminal);
    sim.run();
    CHECK(result == r.result);
    CHECK(took == r.after);
    CHECK(connection.usable() == !r.result);  // an answer that was not read makes the connection unusable
  }
}

#if !TIDEPOOL_TESTS_ASIO_CANCELS_WRONGLY
TEST_CASE("given a query whose answer was not read, when the next one is sent, then it gets the wrong answer", "[B077][B078]") {
  simulation sim(1);
  testing::world server(sim);
  fake_connection connection = connected(sim, server);
  asio::cancellation_signal signal;
  std::vector<std::uint64_t> answers;
  auto first = [&]() -> asio::awaitable<void> { co_await connection.query(1); };
  asio::co_spawn(sim.get_executor(), first(), asio::bind_cancellation_slot(signal.slot(), on_end([](std::exception_ptr) {})));
  sim.run_for(1us);
  signal.emit(asio::cancellation_type::terminal);
  auto second = [&]() -> asio::awaitable<void> { answers.push_back(co_await connection.query(2)); };
  CHECK_FALSE(outcome_of(sim, second));
  CHECK(answers == std::vector<std::uint64_t>{1});
}
#endif

TEST_CASE("given misuse of a connection, when it happens, then the world tells") {
  simulation sim(1);
  testing::world server(sim);
  fake_connection connection = connected(sim, server);
  const auto ping = [&] {
    auto body = [&]() -> asio::awaitable<void> { co_await connection.ping(); };
    asio::co_spawn(sim.get_executor(), body, asio::detached);
  };
  connection.held(true);
  ping();
  sim.run();
  CHECK(server.violations() == std::vector<std::string>{"ping: the pool's operation on a leased connection"});
  connection.held(true);
  CHECK(server.violations().back() == "a connection with two holders");
  connection.held(false);
  ping();
  ping();
  sim.run();
  CHECK(server.violations().back() == "ping: two operations at once");
  auto closed = [&]() -> asio::awaitable<void> { co_await connection.close(); };
  CHECK_FALSE(outcome_of(sim, closed));
  ping();
  sim.run();
  CHECK(server.violations().back() == "ping: an operation on a closed connection");
}

TEST_CASE("given shares of faults, when many operations run, then each fault happens about so often") {
  simulation sim(3);
  testing::world server(sim);
  fake_connection connection = connected(sim, server);
  server.plan()[operation::query].fails = 0.25;
  server.plan()[operation::query].throws = 0.1;
  int failed = 0;
  auto body = [&]() -> asio::awaitable<void> {
    for (std::uint64_t i = 0; i < 2000; ++i) {
      try {
        co_await connection.query(i);
      } catch (const tidepool::system_error&) {
        ++failed;
      }
    }
  };
  CHECK_FALSE(outcome_of(sim, body));
  CHECK(failed > 500);
  CHECK(failed < 800);
  CHECK(server.counts().faults > 500);
}
