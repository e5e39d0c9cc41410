// SPDX-License-Identifier: BSL-1.0
// tidepool - names with many addresses, slow name servers, lists of hosts: who is tried, for how long, and what is told.
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include <tidepool/postgres/detail/address_memory.hpp>
#include <tidepool/postgres/detail/host_resolver.hpp>

#include "../support/on_end.hpp"
#include "../support/side_threads.hpp"
#include "fake_server.hpp"
#include "name_server.hpp"

using namespace tidepool_tests;

namespace {

/// While it lives, names that begin with "slow" are not answered.
class slow_names {
 public:
  slow_names() { name_server::here().release(false); }
  slow_names(const slow_names&) = delete;
  slow_names& operator=(const slow_names&) = delete;
  ~slow_names() {
    name_server::here().release(true);
    (void)side_threads_end();
  }
};

/// Takes connections and says nothing, at an address of its own and a given port.
class silent_address {
 public:
  silent_address(const char* address, unsigned port)
      : acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::make_address(address), static_cast<unsigned short>(port))) {}

 private:
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
};

/// A primary that answers nothing but the first query.
fake_server::talk primary() {
  return after_login([](const std::string&) { return ""; });
}
fake_server::talk replica() {
  fake_kind kind;
  kind.standby = true;
  return after_login([](const std::string&) { return ""; }, kind);
}
fake_server::talk refusal(const std::string& sqlstate, const std::string& message) {
  return [=](const std::string&) { return error_response(sqlstate, message); };
}

std::string at(const std::string& hosts, const std::string& ports) {
  return "host=" + hosts + " port=" + ports + " user=app dbname=app sslmode=disable";
}
std::string ports_of(std::initializer_list<const fake_server*> servers) {
  std::string out;
  for (const auto* each : servers) out += (out.empty() ? "" : ",") + std::to_string(each->port());
  return out;
}
std::string hosts_of(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += i == 0 ? "127.0.0.1" : ",127.0.0.1";
  return out;
}

/// What a pool tells its connector.
struct context {
  asio::any_io_executor where;
  std::chrono::steady_clock::time_point end = std::chrono::steady_clock::time_point::max();
  const asio::any_io_executor& executor() const noexcept { return where; }
  std::chrono::steady_clock::time_point deadline() const noexcept { return end; }
};
asio::awaitable<pg::connection> connect_by(const pg::connector& from, std::chrono::milliseconds limit = std::chrono::milliseconds(60'000)) {
  const context here{co_await asio::this_coro::executor, std::chrono::steady_clock::now() + limit};
  co_return co_await from(here);
}
pg::connect_error refused(const pg::connector& from, std::chrono::milliseconds limit = std::chrono::milliseconds(60'000)) {
  std::optional<pg::connect_error> caught;
  auto task = [&]() -> asio::awaitable<void> {
    try {
      co_await connect_by(from, limit);
    } catch (const pg::connect_error& failure) {
      caught = failure;
    }
  };
  run(task());
  if (!caught) throw std::runtime_error("a connect succeeded that should not");
  return *caught;
}
bool says(const pg::connect_error& failure, const std::string& part) { return std::string(failure.what()).find(part) != std::string::npos; }

}  // namespace

TEST_CASE("given a name with a silent address in front, when connecting twice, then it is waited for once", "[postgres][field-R02]") {
  fake_server good(primary(), true, false);
  silent_address silent("127.0.0.2", good.port());
  name_server::here().set("half.test", {"127.0.0.2", "127.0.0.1"});
  pg::options settings(at("half.test", std::to_string(good.port())));
  settings.address_timeout = 300ms;
  const pg::connector from(settings);
  auto task = [&]() -> asio::awaitable<void> {
    const stopwatch first;
    auto one = co_await connect_by(from);
    must(first.seconds() >= 0.25, "the silent one comes first");
    must(one.peer() == "127.0.0.1:" + std::to_string(good.port()) + " (half.test)", std::string(one.peer()));
    const stopwatch second;
    auto two = co_await connect_by(from);
    must(second.seconds() < 0.25, "and then last");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given silent addresses before a good one, when connecting, then the last has its part of the time", "[postgres][field-R02]") {
  fake_server good(primary(), true, false);
  silent_address silent("127.0.0.2", good.port());
  silent_address silent_too("127.0.0.3", good.port());
  name_server::here().set("twothirds.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  // Each alone may take longer than the pool waits.
  pg::options settings(at("twothirds.test", std::to_string(good.port())));
  settings.address_timeout = 5s;
  auto task = [&]() -> asio::awaitable<void> {
    const pg::connector from(settings);
    auto c = co_await connect_by(from, 900ms);
    must(bool(c), "served");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a pool that gives an attempt up, when it tries again, then the silent address is known", "[postgres][field-R02]") {
  fake_server good(primary(), true, false);
  silent_address silent("127.0.0.2", good.port());
  name_server::here().set("cut.test", {"127.0.0.2", "127.0.0.1"});
  const pg::connector from(pg::options(at("cut.test", std::to_string(good.port()))));
  asio::io_context io;
  asio::cancellation_signal stop;
  std::exception_ptr end;
  asio::co_spawn(
      io, connect_by(from),
      asio::bind_cancellation_slot(stop.slot(), on_end_of<pg::connection>([&](std::exception_ptr e, pg::connection) { end = e; })));
  io.run_for(50ms);
  stop.emit(asio::cancellation_type::terminal);
  io.run_for(hang);
  REQUIRE(end != nullptr);
  auto again = [&]() -> asio::awaitable<double> {
    const stopwatch time;
    auto c = co_await connect_by(from);
    co_return time.seconds();
  };
  CHECK(run(again()) < 4);  // an address may take 5 s
}

TEST_CASE("given a silent address, when connecting fails, then the error says where and how far it came", "[postgres][field-R02]") {
  fake_server mute([](const std::string&) { return ""; }, true, false);
  fake_server logged_in([](const std::string& said) { return asks_for_login(said) ? welcome() : std::string(); }, true, false);
  name_server::here().set("mute.test", {"127.0.0.1"});
  pg::options settings(at("mute.test", std::to_string(mute.port())));
  settings.address_timeout = 100ms;
  const auto before = refused(settings);
  INFO(before.what());
  CHECK(says(before, "127.0.0.1:" + std::to_string(mute.port()) + " (mute.test): "));
  CHECK(says(before, "no answer to the login within 0.1 s"));
  settings.set("port", std::to_string(logged_in.port()));
  const auto after = refused(settings);
  INFO(after.what());
  CHECK(after.reason() == pg::errc::connect_timeout);
  CHECK(says(after, "no answer to the first query"));
  settings.on_connect = [](pg::connection& c) -> asio::awaitable<void> { co_await c.script("select"); };
  fake_server no_more(primary(), true, false);
  settings.set("port", std::to_string(no_more.port()));
  const auto hook = refused(settings);
  INFO(hook.what());
  CHECK(hook.reason() == pg::errc::connect_timeout);
  CHECK(says(hook, "on_connect did not end"));
}

TEST_CASE("given addresses of two families, when they are ordered, then the families take turns", "[postgres][field-R02]") {
  std::vector<std::string> addresses{"::1", "::2", "::3", "10.0.0.1", "10.0.0.2"};
  pg::detail::interleave_families(addresses);
  CHECK(addresses == std::vector<std::string>{"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"});
}

TEST_CASE("given a name that is not answered, when another one is asked for, then it does not wait", "[postgres][field-R03]") {
  const slow_names slow;
  fake_server good(primary(), true, false);
  name_server::here().set("good.test", {"127.0.0.1"});
  auto task = [&]() -> asio::awaitable<void> {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    // Many callers of one slow name hold one place.
    for (int i = 0; i < 2 * pg::detail::most_lookups; ++i) {
      pg::options settings(at("slow.test", std::to_string(good.port())));
      settings.address_timeout = 300ms;
      asio::co_spawn(here, pg::connection::connect(settings), asio::detached);
    }
    co_await pause(20ms);
    auto c = co_await pg::connection::connect(at("good.test", std::to_string(good.port())));
    must(bool(c), "served");
  };
  CHECK_NOTHROW(run(task()));
  CHECK(name_server::here().count("slow.test") == 1);
}

TEST_CASE("given an abandoned lookup, when its context ends, then neither run() nor destruction waits", "[postgres][field-R03]") {
  const slow_names slow;
  const pg::options settings(at("slow-end.test", "1"));
  const stopwatch time;
  {
    asio::io_context io;
    asio::cancellation_signal stop;
    bool ended = false;
    asio::co_spawn(
        io, pg::connection::connect(settings),
        asio::bind_cancellation_slot(stop.slot(), on_end_of<pg::connection>([&](std::exception_ptr, pg::connection) { ended = true; })));
    io.run_for(20ms);
    stop.emit(asio::cancellation_type::terminal);
    io.run();  // nothing is left in it
    CHECK(ended);
  }
  {
    asio::io_context io;
    asio::co_spawn(io, pg::connection::connect(settings), asio::detached);
    io.run_for(20ms);
  }
  CHECK(time.seconds() < 4);  // an address may take 5 s, and the name server takes for ever
}

TEST_CASE("given as many slow lookups as are allowed, when one more is asked for, then the error tells of them", "[postgres][field-R03]") {
  const slow_names slow;
  auto task = []() -> asio::awaitable<std::string> {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    for (int i = 0; i < pg::detail::most_lookups; ++i) {
      pg::options settings(at("slow" + std::to_string(i) + ".test", "1"));
      settings.address_timeout = 400ms;
      asio::co_spawn(here, pg::connection::connect(settings), asio::detached);
    }
    co_await pause(20ms);
    pg::options settings(at("good.test", "1"));
    settings.address_timeout = 100ms;
    const auto failure = co_await error_of(pg::connection::connect(settings));
    must(failure.reason() == pg::errc::connect_timeout, failure.what());
    co_return failure.what();
  };
  CHECK(run(task()).find("16 other names") != std::string::npos);
}

TEST_CASE("given a list of hosts that fail in different ways, when connecting, then the most telling one counts", "[postgres][field-L6]") {
  using tidepool::failure_kind;
  fake_server full(refusal("53300", "sorry, too many clients already"));
  fake_server starting(refusal("57P03", "the database system is starting up"));
  fake_server standby(replica(), true, false);
  const auto shut = std::to_string(closed_port());
  const auto kind_of = [&](std::initializer_list<const fake_server*> servers) {
    const auto count = servers.size() + 1;
    const auto failure = refused(pg::options(at(hosts_of(count), ports_of(servers) + "," + shut) + " target_session_attrs=read-write"));
    INFO(failure.what());
    for (const auto* each : servers) CHECK(says(failure, "127.0.0.1:" + std::to_string(each->port())));
    CHECK(says(failure, shut));
    return failure.kind();
  };
  CHECK(kind_of({&full, &starting, &standby}) == failure_kind::server_full);
  CHECK(kind_of({&standby, &full}) == failure_kind::server_full);
  CHECK(kind_of({&standby, &starting}) == failure_kind::starting);
  CHECK(kind_of({&starting, &standby}) == failure_kind::starting);
  CHECK(kind_of({&standby}) == failure_kind::wrong_role);
  CHECK(refused(pg::options(at(hosts_of(2), shut + "," + shut))).kind() == failure_kind::refused);
  fake_server garbled([](const std::string&) { return "what?"; });
  CHECK(kind_of({&garbled}) == failure_kind::refused);
  const auto alone = refused(pg::options(standby.conninfo() + " target_session_attrs=primary"));
  CHECK(alone.kind() == failure_kind::wrong_role);
  // A wrong password is wrong everywhere.
  fake_server closed(refusal("28P01", "password authentication failed"));
  CHECK(refused(pg::options(at(hosts_of(2), ports_of({&full, &closed})))).kind() == failure_kind::permanent);
  // PgBouncer says it by other means.
  fake_server bouncer(refusal("08P01", "no more connections allowed (max_client_conn)"));
  CHECK(refused(pg::options(bouncer.conninfo())).kind() == failure_kind::server_full);
  fake_server serverless(refusal("08P01", "server login has been failing, try again later (server_login_retry)"));
  CHECK(refused(pg::options(serverless.conninfo())).kind() == failure_kind::refused);
}

TEST_CASE("given standbys before the primary, when connecting again, then they are not tried again", "[postgres][field-L12]") {
  fake_server standby(replica(), true, false);
  fake_server writable(primary(), true, false);
  int hook_calls = 0;
  pg::options settings(at(hosts_of(3), ports_of({&standby, &standby, &writable})) + " target_session_attrs=read-write");
  settings.on_connect = [&](pg::connection&) -> asio::awaitable<void> {
    ++hook_calls;
    co_return;
  };
  const pg::connector from(settings);
  auto task = [&]() -> asio::awaitable<void> {
    auto one = co_await connect_by(from);
    const int tried = standby.accepted();
    must(tried > 0, "asked once");
    auto two = co_await connect_by(from);
    must(standby.accepted() == tried && writable.accepted() == 2, "known");
    must(hook_calls == 2, "on_connect runs only on the session that is kept");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given only unusable hosts, when connecting again, then live ones of the wrong role come first", "[postgres][field-L12]") {
  fake_server failing(refusal("57P03", "the database system is starting up"));
  std::atomic<bool> promoted{false};
  fake_server other(
      [&promoted, before = replica(), after = primary()](const std::string& said) { return promoted ? after(said) : before(said); }, true,
      false);
  const pg::connector from(pg::options(at(hosts_of(2), ports_of({&failing, &other})) + " target_session_attrs=read-write"));
  CHECK(refused(from).kind() == tidepool::failure_kind::starting);
  promoted = true;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect_by(from);
    must(c.peer() == "127.0.0.1:" + std::to_string(other.port()), std::string(c.peer()));
  };
  CHECK_NOTHROW(run(task()));
  CHECK(failing.accepted() == 1);
}

TEST_CASE("given prefer-standby and no standby, then each server is tried once and the primary taken", "[postgres][field-L12]") {
  fake_server writable(primary(), true, false);
  fake_server other(primary(), true, false);
  int hook_calls = 0;
  pg::options settings(at(hosts_of(2), ports_of({&writable, &other})) + " target_session_attrs=prefer-standby");
  settings.on_connect = [&](pg::connection&) -> asio::awaitable<void> {
    ++hook_calls;
    co_return;
  };
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(settings);
    must(c.peer() == "127.0.0.1:" + std::to_string(writable.port()), std::string(c.peer()));
  };
  CHECK_NOTHROW(run(task()));
  CHECK(writable.accepted() + other.accepted() == 2);
  CHECK(hook_calls == 1);
  fake_server replies(replica(), true, false);
  settings.set("port", ports_of({&writable, &replies}));
  auto rather = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(settings);
    must(c.peer() == "127.0.0.1:" + std::to_string(replies.port()), std::string(c.peer()));
  };
  CHECK_NOTHROW(run(rather()));
}
