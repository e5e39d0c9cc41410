// SPDX-License-Identifier: BSL-1.0
// tidepool - a scripted PostgreSQL server within the test, behind the real driver.
#ifndef TIDEPOOL_TESTING_POSTGRES_FAKE_POSTGRES_HPP
#define TIDEPOOL_TESTING_POSTGRES_FAKE_POSTGRES_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <future>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../../postgres/connector.hpp"
#include "../../version.hpp"
#include "driver_time.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// A server that answers by a script. Pools and connections are the real ones, and every verb works: the driver talks to it through a
/// local socket.
///
///     testing::fake_postgres db;
///     db.expect("select name from users where id = $1").with(7).returns({"name"}, {{"ann"}});
///     postgres::pool pool(io, db.connector(), config);
///     ...                                               // runs the handler
///     db.verify();
///
/// `fake_postgres db;` answers in real time, on a thread of its own. `fake_postgres db(sim)` answers in a simulation: latencies are virtual
/// time, and nothing waits for real. Time limits of the driver itself (`within`, `response_timeout`, `cancel_timeout`) are virtual there,
/// too.
///
/// Transactions are recognised: BEGIN, COMMIT, ROLLBACK and savepoints need no expectation, but may have one, and after an error in a
/// transaction statements fail with 25P02. What the driver and the pool ask for themselves is answered, and not recorded. COPY needs an
/// expectation: `returns()` gives the rows of COPY TO STDOUT, and `sql_statement::copied` has what COPY FROM STDIN got.
///
/// Members may be called from any thread; with a simulation, from its thread. The simulation has to outlive it.
class fake_postgres {
 public:
  /// Throws `tidepool::system_error` where no local socket can be made.
  fake_postgres()
      : context_(std::make_unique<asio::io_context>(1)), core_(std::make_shared<detail::server_core>(context_->get_executor())) {
    core_->listen();
    thread_ = std::thread([this] {
      const auto work = asio::prefer(context_->get_executor(), asio::execution::outstanding_work.tracked);
      context_->run();
    });
  }
  explicit fake_postgres(simulation& owner)
      : owner_(&owner), core_(std::make_shared<detail::server_core>(asio::any_io_executor(owner.get_executor()))) {
    core_->listen();
    time_ = std::make_unique<detail::driver_time>(owner);
  }
  fake_postgres(const fake_postgres&) = delete;
  fake_postgres& operator=(const fake_postgres&) = delete;
  /// Ends all sessions. Prints what `verify()` would have thrown, where that was not called.
  ~fake_postgres() {
    call([this] { core_->shut(); });
    if (thread_.joinable()) {
      context_->stop();
      thread_.join();
    }
    if (verified_) return;
    for (const auto& each : core_->script.problems()) std::fprintf(stderr, "fake_postgres: %s\n", each.c_str());
  }

  // --- where it is ----------------------------------------------------------------------------------------------------------------------

  /// For `postgres::connection::connect()`, and for options of your own.
  std::string conninfo() const { return "host=" + core_->folder.path() + " port=5432 user=test dbname=test"; }
  /// For a pool.
  tidepool::postgres::connector connector() const { return {conninfo()}; }

  // --- the script -----------------------------------------------------------------------------------------------------------------------

  /// A statement that has to come; the object stays where it is until `forget()`. Of several that fit, the first that is not used up
  /// counts, so the same statement can be given different answers one after the other.
  sql_expectation& expect(sql_pattern what) { return core_->script.expect(std::move(what)); }
  /// One that may come, any number of times.
  sql_expectation& allow(sql_pattern what) { return expect(std::move(what)).any_times(); }
  /// The answer to all that is not expected, which else fails with XX000 and is a problem.
  sql_expectation& otherwise() { return core_->script.otherwise(); }
  /// What is expected from now on has to come in this order; `false`: in any.
  void in_order(bool now = true) { core_->script.in_order(now); }
  /// Drops expectations, record and problems.
  void forget() {
    core_->script.clear();
    verified_ = false;
  }

  // --- the server -----------------------------------------------------------------------------------------------------------------------

  /// The next `times` logins fail, after `connect_latency()`: 53300 for a full server, 57P03 for one that starts, 28P01 for a wrong
  /// password.
  void refuse_connects(std::string_view sqlstate, std::string_view message, std::size_t times = std::numeric_limits<std::size_t>::max()) {
    const auto why = detail::report_of("FATAL", sqlstate, message);
    call([&] {
      core_->connects.failure = why;
      core_->connects.times = times;
    });
  }
  /// Ends what `refuse_connects()` began.
  void accept_connects() {
    call([this] { core_->connects.times = 0; });
  }
  /// How long each connect takes from now on.
  void connect_latency(duration span) {
    call([&] { core_->connects.latency = span; });
  }
  /// Ends all sessions, and refuses connects as a host without a server does, until `start()`.
  void stop() {
    end_sessions();
    call([this] { core_->refuse(); });
  }
  /// Listens again after `stop()`.
  void start() {
    call([this] { core_->listen(); });
  }
  /// Ends all sessions as an operator does.
  void end_sessions(std::string_view sqlstate = "57P01", std::string_view message = "terminating connection due to administrator command") {
    const auto why = detail::report_of("FATAL", sqlstate, message);
    call([&] { core_->end_sessions(why); });
  }
  /// Sessions that are open.
  std::size_t sessions() {
    std::size_t out = 0;
    call([&] { out = core_->sessions.size(); });
    return out;
  }

  // --- afterwards -----------------------------------------------------------------------------------------------------------------------

  /// All statements it got, in their order, those that control transactions too.
  std::vector<sql_statement> asked() const { return core_->script.asked(); }
  /// Those that fit.
  std::vector<sql_statement> asked(const sql_pattern& what) const {
    auto out = asked();
    std::erase_if(out, [&](const sql_statement& each) { return !what.fits(each); });
    return out;
  }
  /// Statements that were not expected, and expectations that were not met, in words.
  std::vector<std::string> problems() const { return core_->script.problems(); }
  /// Throws std::logic_error with all problems.
  void verify() {
    verified_ = true;
    const auto all = problems();
    if (all.empty()) return;
    std::string text = "fake_postgres: ";
    for (std::size_t i = 0; i < all.size(); ++i) text += (i == 0 ? "" : "\n  ") + all[i];
    throw std::logic_error(text);
  }

 private:
  /// Runs `what` where the server runs.
  template <class F>
  void call(F what) {
    if (owner_ || std::this_thread::get_id() == thread_.get_id()) return what();
    std::packaged_task<void()> task(std::move(what));
    auto ready = task.get_future();
    asio::post(*context_, [&task] { task(); });
    ready.get();
  }

  simulation* owner_ = nullptr;
  std::unique_ptr<asio::io_context> context_;
  std::shared_ptr<detail::server_core> core_;
  std::unique_ptr<detail::driver_time> time_;
  std::thread thread_;
  std::atomic<bool> verified_{false};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
