// SPDX-License-Identifier: BSL-1.0
// tidepool - servers that fall silent at any point, crowds that are cancelled at once, and what is asked after a long silence.
#include <signal.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/instantiate.hpp>
#include <tidepool/postgres/detail/cancel_dispatcher.hpp>
#include <tidepool/postgres/detail/real_time.hpp>
#include <tidepool/prometheus.hpp>

#include "../support/on_end.hpp"
#include "fake_server.hpp"

using namespace tidepool_tests;
using tidepool::lease_end;

namespace {

/// Stops a server process; goes on with it in any case.
class frozen {
 public:
  explicit frozen(int pid) : pid_(pid), stopped_(::kill(pid, SIGSTOP) == 0) {}
  ~frozen() { thaw(); }
  frozen(const frozen&) = delete;
  frozen& operator=(const frozen&) = delete;
  bool stopped() const { return stopped_; }
  void thaw() { (void)::kill(pid_, SIGCONT); }

 private:
  int pid_;
  bool stopped_;
};

asio::awaitable<pg::connection> limited(std::chrono::milliseconds limit, std::string more = "") {
  pg::options settings(server() + more);
  settings.response_timeout = limit;
  settings.cancel_timeout = 60ms;
  return pg::connection::connect(settings);
}

/// Logs in, answers the driver's first query with an error, and is silent from then on, but for what `later` says.
fake_server::talk logs_in(std::function<std::string(const std::string&)> later) {
  return [later = std::move(later)](const std::string& said) -> std::string {
    if (said.size() >= 8 && said.substr(4, 4) == std::string("\0\3\0\0", 4)) {
      return protocol_message('R', std::string(4, '\0')) + protocol_message('S', std::string("DateStyle\0ISO, MDY\0", 19)) +
             protocol_message('S', std::string("client_encoding\0UTF8\0", 21)) + protocol_message('K', "processk") +
             protocol_message('Z', "I");
    }
    if (said.find("pg_is_in_recovery") != std::string::npos) {
      auto refusal = error_response("42883", "no such function");
      for (auto at = refusal.find("FATAL"); at != std::string::npos; at = refusal.find("FATAL")) refusal.replace(at, 5, "ERROR");
      return refusal + protocol_message('Z', "I");
    }
    return later(said);
  };
}

}  // namespace

TEST_CASE("given a frozen server process, when any verb waits for it, then the error names the silence in time",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  using body = asio::awaitable<void> (*)(pg::connection&, int);
  // Each freezes the server's process in the middle.
  const std::vector<std::pair<const char*, body>> verbs = {
      {"exec",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         const frozen still(pid);
         co_await c.exec("select 1");
       }},
      {"a large statement",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         const frozen still(pid);
         co_await c.exec("select $1", std::string(20'000'000, 'x'));
       }},
      {"stream",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         auto rows = co_await c.stream<std::string>("select repeat('x', 10000) from generate_series(1, 100000)");
         (void)co_await rows.next();
         const frozen still(pid);
         for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
       }},
      {"stream, closed",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         auto rows = co_await c.stream<std::string>("select repeat('x', 10000) from generate_series(1, 100000)");
         (void)co_await rows.next();
         const frozen still(pid);
         co_await rows.close();
       }},
      {"copy in",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         co_await c.script("create temp table t (x text)");
         auto in = co_await c.copy_in("copy t from stdin");
         const frozen still(pid);
         const std::string block(1'000'000, 'x');
         for (int i = 0; i < 100; ++i) co_await in.write(block);
       }},
      {"copy in, at its end",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         co_await c.script("create temp table t (x text)");
         auto in = co_await c.copy_in("copy t from stdin");
         co_await in.row("x");
         const frozen still(pid);
         (void)co_await in.finish();
       }},
      {"copy out",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         auto out = co_await c.copy_out("copy (select repeat('x', 10000) from generate_series(1, 100000)) to stdout");
         (void)co_await out.next();
         const frozen still(pid);
         for (auto row = co_await out.next(); row; row = co_await out.next()) continue;
       }},
      {"pipeline",
       [](pg::connection& c, int pid) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::independent);
         batch.exec("select 1");
         batch.exec("select 2");
         const frozen still(pid);
         co_await batch.run();
       }},
      {"transaction", [](pg::connection& c, int pid) -> asio::awaitable<void> {
         auto inside = [pid](pg::transaction& t) -> asio::awaitable<void> {
           const frozen still(pid);
           co_await t.exec("select 1");
         };
         co_await c.transaction(inside);
       }}};
  for (const auto& [name, what] : verbs) {
    INFO(name);
    bool frozen_here = true;
    auto task = [&, run_it = what]() -> asio::awaitable<pg::error> {
      auto c = co_await limited(40ms);
      frozen_here = frozen(c.backend_pid()).stopped();
      const auto failure = co_await error_of(run_it(c, c.backend_pid()));
      if (failure.reason() == pg::errc::response_timeout) co_return failure;
      must(!c.usable() && c.after_lease() == lease_end::broken, "the connection is not used again");
      co_return failure;
    };
    const stopwatch time;
    std::optional<pg::error> failure;
    try {
      // On a busy machine the time may be over before the process is stopped: then it is cancelled in good time.
      do {
        failure = run(task());
      } while (failure->reason() == pg::errc::response_timeout && time.seconds() < 20);
    } catch (const std::exception& e) {
      UNSCOPED_INFO(e.what());
    }
    if (!frozen_here) {
      WARN("skipped: the server's processes cannot be stopped from here");
      return;
    }
    REQUIRE(failure);
    INFO(failure->what());
    const bool silent = failure->reason() == pg::errc::server_silent || failure->reason() == pg::errc::outcome_unknown;
    CHECK(silent);
    CHECK(failure->connection_lost());
    CHECK(time.seconds() < 30);
    if (std::string(name) == "exec") {
      CHECK(std::string(failure->what()).find("has been silent for") != std::string::npos);
      CHECK(failure->code() == std::errc::timed_out);
    }
  }
}

TEST_CASE("given a server silent in the middle of an answer, when the limit passes, then the call ends", "[postgres][field-L3]") {
  const std::string half =
      protocol_message('T', std::string("\0\1c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 22)).substr(0, 12);
  for (const std::string& said : {std::string(), half}) {
    fake_server peer(logs_in([said](const std::string&) { return said; }), true);
    auto task = [&]() -> asio::awaitable<pg::error> {
      pg::options settings(peer.conninfo());
      settings.response_timeout = settings.cancel_timeout = 40ms;
      auto c = co_await pg::connection::connect(settings);
      co_return co_await error_of(c.script("select 1"));
    };
    const auto failure = run(task());
    CHECK(failure.reason() == pg::errc::server_silent);
    CHECK(failure.connection_lost());
  }
}

TEST_CASE("given statements cancelled again and again under load, then each other one gets its own answer",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  asio::io_context context;
  std::atomic<int> ended{0};
  std::atomic<int> kept{0};
  std::atomic<int> wrong{0};
  auto user = [&](int number) -> asio::awaitable<void> {
    pg::options settings = patient();
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    asio::cancellation_signal signal;
    for (int i = 0; i < 100; ++i) {
      const int token = number * 1000 + i;
      bool done = false;
      // Some are cancelled before the server has begun, some in the middle, some as they end.
      auto work = [&c, token, i]() -> asio::awaitable<void> {
        co_await c.exec("select $1::int from pg_sleep($2)", -token, (i % 10) / 1000.0);
      };
      asio::co_spawn(context, work(), asio::bind_cancellation_slot(signal.slot(), on_end([&](std::exception_ptr) { done = true; })));
      co_await pause(std::chrono::milliseconds(i % 7));
      signal.emit(asio::cancellation_type::terminal);
      while (!done) co_await pause(1ms);
      const bool usable = c.usable();
      if (!usable) break;
      const auto answer = co_await c.one<int>("select $1::int", token);
      if (answer != token) ++wrong;
      if (c.backend_pid() == pid) ++kept;
    }
    ++ended;
  };
  for (int i = 0; i < 6; ++i) asio::co_spawn(context, user(i + 1), asio::detached);
  context.run_for(hang);
  CHECK(ended == 6);
  CHECK(kept == 600);
  CHECK(wrong == 0);
}

TEST_CASE("given many statements, when all are cancelled at once, then few threads do it, all are kept", "[postgres][server][field-L12]") {
  NEEDS_SERVER();
  asio::io_context context;
  constexpr int crowd = 40;
  int kept = 0;
  int ready = 0;
  std::size_t most = 0;
  bool over = false;
  std::vector<std::unique_ptr<asio::cancellation_signal>> signals;
  for (int i = 0; i < crowd; ++i) signals.push_back(std::make_unique<asio::cancellation_signal>());
  auto user = [&](int number) -> asio::awaitable<void> {
    pg::options settings = patient();
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    bool done = false;
    auto work = [&c]() -> asio::awaitable<void> { co_await c.exec("select pg_sleep(60)"); };
    asio::co_spawn(
        context, work(),
        asio::bind_cancellation_slot(signals[static_cast<std::size_t>(number)]->slot(), on_end([&](std::exception_ptr) { done = true; })));
    ++ready;
    while (!done) co_await pause(1ms);
    const auto same = co_await c.one<int>("select pg_backend_pid()");
    if (same == pid) ++kept;
  };
  auto all = [&]() -> asio::awaitable<void> {
    while (ready < crowd) co_await pause(5ms);
    co_await pause(50ms);
    for (auto& signal : signals) signal->emit(asio::cancellation_type::terminal);
    while (kept < crowd && !over) {
      most = std::max(most, pg::detail::cancel_dispatcher::instance().threads());
      co_await pause(1ms);
    }
  };
  asio::co_spawn(context, all(), asio::detached);
  for (int i = 0; i < crowd; ++i) asio::co_spawn(context, user(i), asio::detached);
  context.run_for(hang);
  over = true;
  CHECK(kept == crowd);
  CHECK(most <= pg::detail::cancel_dispatcher::most_per_server);
}

TEST_CASE("given a server that holds its cancel threads, when another's requests come, then they do not wait", "[postgres][field-L12]") {
  using pg::detail::cancel_dispatcher;
  using pg::detail::cancel_job;
  std::atomic<bool> let_go{false};
  std::atomic<int> sent{0};
  std::atomic<int> refused{0};
  std::atomic<std::size_t> begun{0};
  const auto now = pg::detail::clock::now();
  std::vector<std::shared_ptr<cancel_job>> stuck;
  auto& dispatcher = cancel_dispatcher::instance();
  for (int i = 0; i < 10; ++i) {
    stuck.push_back(std::make_shared<cancel_job>(
        "silent", now + 50s,
        [&] {
          ++begun;
          while (!let_go) std::this_thread::sleep_for(1ms);
          return false;
        },
        [&](bool) { ++refused; }));
    CHECK(dispatcher.submit(stuck.back()));
  }
  CHECK(dispatcher.threads() == cancel_dispatcher::most_per_server);
  CHECK(dispatcher.waiting() == 8);
  for (int i = 0; i < 5; ++i) {
    CHECK(dispatcher.submit(std::make_shared<cancel_job>(
        "well", now + 50s, [] { return true; }, [&](bool taken) { sent += taken ? 1 : 0; })));
  }
  const stopwatch time;
  while ((sent < 5 || begun < cancel_dispatcher::most_per_server) && time.seconds() < 30) std::this_thread::sleep_for(1ms);
  CHECK(sent == 5);
  // A queued request that is given up is never sent.
  CHECK(stuck.back()->give_up());
  CHECK(refused == 1);
  CHECK_FALSE(stuck.front()->give_up());
  let_go = true;
  while ((dispatcher.threads() > 0 || refused < 10) && time.seconds() < 30) std::this_thread::sleep_for(1ms);
  CHECK(refused == 10);
  CHECK(dispatcher.threads() == 0);
  CHECK(dispatcher.waiting() == 0);
}

TEST_CASE("given a writable target, when its server was silent for long, then its role is asked for first",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  using body = asio::awaitable<void> (*)(pg::connection&);
  const std::vector<std::pair<const char*, body>> verbs = {
      {"exec", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select 1"); }},
      {"stream",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto rows = co_await c.stream<int>("select 1");
         for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
       }},
      {"copy out",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto out = co_await c.copy_out("copy (select 1) to stdout");
         for (auto row = co_await out.next(); row; row = co_await out.next()) continue;
       }},
      {"prepare", [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.prepare("select 1"); }},
      {"pipeline", [](pg::connection& c) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::independent);
         batch.exec("select 1");
         co_await batch.run();
       }}};
  auto task = [](bool demoted, body next) -> asio::awaitable<std::optional<pg::error>> {
    pg::options settings = patient("target_session_attrs=read-write");
    settings.response_timeout = paced(50ms);
    auto c = co_await pg::connection::connect(settings);
    if (demoted) co_await c.script("set default_transaction_read_only to on");
    must(c.usable() && c.after_lease() == lease_end::clean, "before");
    const auto late = co_await error_of(c.exec("select pg_sleep(60)"));
    must(late.reason() == pg::errc::response_timeout, "late");
    must(!c.usable() && c.after_lease() == lease_end::needs_reset, "not handed on unasked");
    if (!demoted) {
      co_await c.reset();
      must(c.usable() && c.after_lease() == lease_end::clean, "asked at the end of the lease");
      (void)co_await error_of(c.exec("select pg_sleep(60)"));
      co_await next(c);
      must(c.usable(), "asked before the next statement");
      co_return std::nullopt;
    }
    co_return co_await error_of(next(c));
  };
  for (const auto& [name, verb] : verbs) {
    INFO(name);
    CHECK_FALSE(run(task(false, verb)));
    const auto failure = run(task(true, verb));
    REQUIRE(failure);
    CHECK(failure->connection_lost());
    CHECK(std::string(failure->what()).find("target_session_attrs") != std::string::npos);
  }
}

TEST_CASE("given a writable target, when the limit of one call has passed, then its role is asked for first",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    pg::options settings = patient("target_session_attrs=read-write");
    auto c = co_await pg::connection::connect(settings);
    (void)co_await error_of(c.exec(pg::within(50ms), "select pg_sleep(60)"));
    must(!c.usable() && c.after_lease() == lease_end::needs_reset, "not handed on unasked");
    co_await c.reset();
    must(c.usable() && c.after_lease() == lease_end::clean, "asked at the end of the lease");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given leases whose server is silent, when others ask, then reports say so and blame no holder",
          "[postgres][pool][server][field-L3]") {
  NEEDS_SERVER();
  struct logged : tidepool::default_traits<pg::connection> {
    using observer = tidepool::log_observer;
  };
  using pool_type = tidepool::basic_pool<pg::connection, logged>;
  asio::io_context context;
  std::vector<std::string> lines;
  tidepool::log_observer log([&](tidepool::log_observer::level, const std::string& line) { lines.push_back(line); });
  tidepool::pool_config config;
  config.name = "silent";
  config.min_size = config.max_size = 2;
  config.response_timeout = paced(1000ms);  // silent after half of it
  config.leak_timeout = paced(700ms);
  pool_type pool(context, pg::connector(patient(), config), config, log);
  std::string text;
  tidepool::error_report report;
  tidepool::pool_stats stats;
  tidepool::pool_state before{};
  tidepool::pool_state state{};
  std::vector<pg::errc> ends;
  auto holder = [&]() -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto failure = co_await error_of(lease->exec("select pg_sleep(60)"));
    ends.push_back(failure.reason());
  };
  auto all = [&]() -> asio::awaitable<void> {
    co_await pool.open();
    before = pool.state();
    asio::co_spawn(context, holder(), asio::detached);
    asio::co_spawn(context, holder(), asio::detached);
    try {
      auto lease = co_await pool.acquire(paced(850ms));
    } catch (const tidepool::pool_error& failure) {
      text = failure.what();
      report = failure.report();
    }
    stats = pool.stats();
    state = pool.state();
    while (ends.size() < 2) co_await pause(5ms);
    auto lease = co_await pool.acquire(10s);
    lease.release();
    co_await pool.close();
  };
  std::exception_ptr failure;
  asio::co_spawn(context, all(), on_end([&](std::exception_ptr e) { failure = e; }));
  context.run_for(hang);
  if (failure) std::rethrow_exception(failure);
  CHECK(before == tidepool::pool_state::healthy);
  INFO(text);
  CHECK(report.silent == 2);
  CHECK(report.longest_silence >= 400ms);
  CHECK(std::string(report.bottleneck()) == "the server is silent");
  CHECK(text.find("has not answered 2 of 2 leases for") != std::string::npos);
  REQUIRE_FALSE(report.holders.empty());
  CHECK(report.holders[0].waiting > 0ms);
  CHECK(stats.silent == 2);
  CHECK(state == tidepool::pool_state::degraded);
  CHECK(std::string(tidepool::assess(stats).reason) == "server silent");
  CHECK(tidepool::to_prometheus(stats).find("db_pool_silent{pool=\"silent\"} 2") != std::string::npos);
  CHECK(stats.to_json().find("\"silent\":2") != std::string::npos);
  bool told = false;
  bool blamed = false;
  for (const auto& line : lines) {
    told = told || line.find("the server does not answer, lease of") != std::string::npos;
    blamed = blamed || line.find("possible leak") != std::string::npos;
  }
  CHECK(told);
  CHECK_FALSE(blamed);
  CHECK(ends == std::vector<pg::errc>{pg::errc::response_timeout, pg::errc::response_timeout});
}

TEST_CASE("given a pool with a response timeout, then its connector takes it unless its own is shorter", "[postgres][field-L3]") {
  tidepool::pool_config config;
  CHECK(pg::connector("host=db", config).settings().response_timeout == tidepool::no_limit);
  config.response_timeout = 7s;
  CHECK(pg::connector("host=db", config).settings().response_timeout == 7s);
  pg::options settings("host=db");
  settings.response_timeout = 3s;
  CHECK(pg::connector(settings, config).settings().response_timeout == 3s);
}

TEST_CASE("given a first answer slower than response_timeout, when connecting, then address_timeout bounds it", "[postgres][field-L3]") {
  const auto never = [](const std::string&) { return std::string(); };
  fake_server slow(
      [honest = after_login(never)](const std::string& said) {
        if (asks_for_kind(said)) std::this_thread::sleep_for(300ms);
        return honest(said);
      },
      true, false);
  pg::options settings(slow.conninfo());
  settings.response_timeout = 20ms;
  settings.cancel_timeout = 20ms;
  settings.address_timeout = hang;
  bool connected = false;
  bool behind_pooler = true;
  std::string after;
  tidepool_tests::run([](pg::options wanted, bool& came, bool& pooled, std::string& failure) -> asio::awaitable<void> {
    pg::connection c = co_await pg::connection::connect(std::move(wanted));
    came = true;
    pooled = c.behind_pooler();
    try {
      co_await c.exec("select 1");
    } catch (const pg::error& failed) {
      failure = failed.what();
    }
  }(settings, connected, behind_pooler, after));
  CHECK(connected);
  CHECK_FALSE(behind_pooler);
  CHECK(after.find("has been silent") != std::string::npos);  // from then on answers have their limit
}
