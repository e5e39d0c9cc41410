// SPDX-License-Identifier: BSL-1.0
// tidepool - complete_within(): a time limit for any work, in virtual time and on threads.

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rig.hpp"
#include "support/asio.hpp"
#include "support/on_end.hpp"

namespace tidepool_tests {

namespace {

using testing::virtual_timer;

/// Runs a coroutine in a simulation; what it returned or threw.
std::string outcome_of(simulation& sim, asio::awaitable<std::string> work, asio::cancellation_signal* signal = nullptr,
                       duration cancel_after = no_limit) {
  std::string said = "pending";
  auto keep = [](asio::awaitable<std::string> what, std::string& to) -> asio::awaitable<void> {
    try {
      to = co_await std::move(what);
    } catch (const tidepool::system_error& failure) {
      to = failure.code() == errc::not_in_time                ? "late: " + said_by(failure)
           : failure.code() == asio::error::operation_aborted ? "aborted"
                                                              : "system_error: " + said_by(failure);
    } catch (const std::exception& failure) {
      to = failure.what();
    }
  };
  asio::cancellation_signal own;
  asio::co_spawn(sim.get_executor(), keep(std::move(work), said),
                 asio::bind_cancellation_slot(signal ? signal->slot() : own.slot(), asio::detached));
  if (signal) {
    sim.run_for(cancel_after);
    signal->emit(asio::cancellation_type::terminal);
  }
  sim.run_while_not([&] { return said != "pending"; });
  return said;
}

asio::awaitable<std::string> after(duration span, std::string result) {
  co_await testing::sleep_for(span);
  co_return result;
}
asio::awaitable<std::string> fails_after(duration span) {
  co_await testing::sleep_for(span);
  throw std::runtime_error("its own error");
}
/// Goes on for some time after it was cancelled, and ends as it likes.
asio::awaitable<std::string> lingers(bool returns) {
  bool cancelled = false;
  try {
    co_await testing::sleep_for(1h);
  } catch (const tidepool::system_error&) {
    cancelled = true;
  }
  co_await asio::this_coro::reset_cancellation_state();
  co_await testing::sleep_for(3s);
  if (!returns) throw std::runtime_error("it went wrong");
  co_return cancelled ? "done late" : "?";
}
asio::awaitable<std::string> two_at_once() {
  using namespace asio::experimental::awaitable_operators;
  co_await (testing::sleep_for(1h) && testing::sleep_for(2h));
  co_return "?";
}

asio::awaitable<std::string> limited(duration limit, asio::awaitable<std::string> work) {
  return tidepool::complete_within<virtual_timer>(limit, std::move(work));
}

}  // namespace

TEST_CASE("given work with a limit, when it ends in time, then its result or its exception is given", "[field-U7]") {
  simulation sim;
  const auto began = sim.now();
  CHECK(outcome_of(sim, limited(10s, after(9s, "done"))) == "done");
  CHECK(sim.now() - began == 9s);
  CHECK(outcome_of(sim, limited(10s, fails_after(1s))) == "its own error");
  CHECK(sim.now() - began == 10s);
  CHECK(outcome_of(sim, limited(no_limit, after(24h, "done"))) == "done");
  sim.run_for(0s);
  CHECK(sim.pending_waits() == 0);
}

TEST_CASE("given work with a limit, when that passes, then the work is cancelled and the error says so", "[field-U7]") {
  simulation sim;
  const auto began = sim.now();
  CHECK(outcome_of(sim, limited(250ms, after(1h, "?"))) == "late: not done within 250 ms, and cancelled: the time limit has passed");
  CHECK(sim.now() - began == 250ms);
  CHECK(outcome_of(sim, limited(250ms, two_at_once())).find("late: ") == 0);
  CHECK(tidepool::error_code(make_error_code(errc::not_in_time)) == std::errc::timed_out);
  sim.run_for(0s);
  CHECK(sim.pending_waits() == 0);
}

TEST_CASE("given work that is cancelled by its limit, when it ends in another way, then that counts", "[field-U7]") {
  simulation sim;
  const auto began = sim.now();
  CHECK(outcome_of(sim, limited(1s, lingers(true))) == "done late");
  CHECK(sim.now() - began == 4s);  // its end is waited for
  CHECK(outcome_of(sim, limited(1s, lingers(false))) == "it went wrong");
}

TEST_CASE("given no time left, when work is started, then nothing of it runs", "[field-U7]") {
  simulation sim;
  bool ran = false;
  auto work = [&ran]() -> asio::awaitable<std::string> {
    ran = true;
    co_return "?";
  };
  CHECK(outcome_of(sim, limited(0s, work())) == "late: there is no time left: nothing was begun: the time limit has passed");
  CHECK(outcome_of(sim, limited(-1s, work())).find("late: ") == 0);
  CHECK_FALSE(ran);
}

TEST_CASE("given a caller that is cancelled, then its limited work is, and the limit is not what is told", "[field-U7]") {
  simulation sim;
  asio::cancellation_signal signal;
  const auto began = sim.now();
  CHECK(outcome_of(sim, limited(10s, after(1h, "?")), &signal, 2s) == "aborted");
  CHECK(sim.now() - began == 2s);
  CHECK(outcome_of(sim, limited(10s, lingers(true)), &signal, 2s) == "done late");
  sim.run_for(1h);
  CHECK(sim.pending_waits() == 0);
}

/// Is cancelled, cleans up for three seconds, and says that it was cancelled.
asio::awaitable<std::string> ends_late() {
  std::exception_ptr cancelled;
  try {
    co_await testing::sleep_for(1h);
  } catch (const tidepool::system_error&) {
    cancelled = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state();
  co_await testing::sleep_for(3s);
  std::rethrow_exception(cancelled);
}

TEST_CASE("given a cancelled caller, when the limit passes while its work ends, then that is not told", "[field-U7]") {
  simulation sim;
  asio::cancellation_signal signal;
  CHECK(outcome_of(sim, limited(4s, ends_late()), &signal, 2s) == "aborted");
  CHECK(outcome_of(sim, limited(4s, ends_late())).find("late: ") == 0);
}

TEST_CASE("given limited work within limited work, when both limits pass at once, then one of them is told", "[field-U7]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    simulation sim(seed);
    CHECK(outcome_of(sim, limited(2s, limited(2s, after(1h, "?")))).find("late: not done within 2 s") == 0);
    CHECK(outcome_of(sim, limited(2s, limited(3s, after(1h, "?")))).find("late: not done within 2 s") == 0);
    CHECK(outcome_of(sim, limited(3s, limited(2s, after(1h, "?")))).find("late: not done within 2 s") == 0);
    const auto at_once = outcome_of(sim, limited(2s, after(2s, "done")));  // the work ends in the moment of its limit
    CHECK((at_once == "done" || at_once.find("late: ") == 0));
  }
}

TEST_CASE("given a caller that is cancelled at any step, then its limited work ends, and nothing is made up", "[field-U7]") {
  std::size_t aborted = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (int steps = 0; steps <= 12; ++steps) {
      simulation sim(seed);
      asio::cancellation_signal signal;
      std::string said = "pending";
      auto keep = [](std::string& to) -> asio::awaitable<void> {
        try {
          to = co_await limited(10s, after(1h, "?"));
        } catch (const tidepool::system_error& failure) {
          to = failure.code() == asio::error::operation_aborted ? "aborted" : failure.what();
        }
      };
      const on_end at_end = [&](std::exception_ptr failed) {
        if (failed) said = "aborted";  // before its first step
      };
      asio::co_spawn(sim.get_executor(), keep(said), asio::bind_cancellation_slot(signal.slot(), at_end));
      for (int i = 0; i < steps; ++i) sim.step(sim.now());
      signal.emit(asio::cancellation_type::terminal);
      sim.run_while_not([&] { return said != "pending"; });
      CAPTURE(seed, steps);
      CHECK(said == "aborted");
      aborted += said == "aborted";
      sim.run();
      CHECK(sim.now() - simulation::default_start < 10s);
    }
  }
  CHECK(aborted == 130);
}

TEST_CASE("given limited work when its context goes, then all of it is destroyed", "[field-U7]") {
  struct counted {
    explicit counted(int& of) : alive(of) { ++alive; }
    counted(const counted&) = delete;
    ~counted() { --alive; }
    int& alive;
  };
  int alive = 0;
  {
    simulation sim;
    auto work = [](int& of) -> asio::awaitable<std::string> {
      const counted here(of);
      co_return co_await limited(1h, after(2h, "?"));
    };
    asio::co_spawn(sim.get_executor(), work(alive), [](std::exception_ptr, std::string) {});
    sim.run_for(1s);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("given a request that waits for a connection, when its limit passes, then it leaves the queue", "[field-U7]") {
  rig<> r(calm(1, 1));
  auto held = r.take();
  auto request = [](rig<>& of) -> asio::awaitable<std::string> {
    auto lease = co_await of.pool->acquire(1h);
    co_return "served";
  };
  CHECK(outcome_of(r.sim, limited(5s, request(r))).find("late: not done within 5 s") == 0);
  CHECK(r.stats().waiting == 0);
  CHECK(r.stats().cancelled == 1);
  held.release();
  CHECK(outcome_of(r.sim, limited(5s, request(r))) == "served");
}

TEST_CASE("given several threads and no strand, when limits pass, then each piece of work ends once", "[field-U7]") {
  asio::io_context io;
  std::atomic<int> late{0};
  std::atomic<int> done{0};
  std::atomic<int> other{0};
  auto work = [](int n) -> asio::awaitable<int> {
    tidepool::default_limit_timer timer(co_await asio::this_coro::executor);
    for (int i = 0; i < 4; ++i) {
      timer.expires_after(std::chrono::microseconds(100 * (n % 5)));
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_return n;
  };
  auto user = [&](int number) -> asio::awaitable<void> {
    for (int i = 0; i < 50; ++i) {
      try {
        const auto got = co_await tidepool::complete_within(std::chrono::microseconds(700), work(number + i));
        ++(got == number + i ? done : other);
      } catch (const tidepool::system_error& failure) {
        ++(failure.code() == errc::not_in_time ? late : other);
      }
    }
  };
  for (int i = 0; i < 20; ++i) asio::co_spawn(io, user(i), asio::detached);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { io.run(); });
  for (auto& thread : threads) thread.join();
  CHECK(late + done == 20 * 50);
  CHECK(other == 0);
}

}  // namespace tidepool_tests
