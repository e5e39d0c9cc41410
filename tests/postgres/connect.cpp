// SPDX-License-Identifier: BSL-1.0
// tidepool - connecting: several servers, deadlines, refusals, secrets.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>

#include <tidepool/postgres/detail/address_memory.hpp>
#include <tidepool/postgres/detail/connect_address.hpp>
#include <tidepool/postgres/detail/conninfo.hpp>
#include <tidepool/postgres/detail/login.hpp>

#include "../support/on_end.hpp"
#include "../support/side_threads.hpp"
#include "fake_server.hpp"

using namespace tidepool_tests;

namespace {

std::string part(const std::string& keyword) { return std::string(pg::options(server()).get(keyword)); }

/// A certificate that signed nothing here; good for a hundred years.
constexpr std::string_view other_root = R"(-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUXY6JeypYxDjADeHJ1wr8Q1+ltO4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJZWxzZXdoZXJlMCAXDTI2MTEyNDE3NDMyN1oYDzIxMjYxMDMx
MTc0MzI3WjAUMRIwEAYDVQQDDAllbHNld2hlcmUwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQtqdVuTqQNadTZEk3ZuClNDHuwGuky4Drpfq+iUTVs+jj6zWRkez11
LhVn0MnZUmrJYvemBJ8vkUshTpd/UrkBo1MwUTAdBgNVHQ4EFgQUletpfsFToAxL
owhGgnK/2NFRRNwwHwYDVR0jBBgwFoAUletpfsFToAxLowhGgnK/2NFRRNwwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAq5mk50v22B9TcbmY+APcC
24AfcjTDJPPa34uyO1wl0wIhAN+qdwBEnX2dYWOv2WZFH+5bpf76a/oVkShPoxsK
cYq4
-----END CERTIFICATE-----
)";

/// The error of a connect that must fail.
pg::connect_error refused(pg::options settings) {
  std::optional<pg::connect_error> caught;
  auto task = [&]() -> asio::awaitable<void> {
    try {
      co_await pg::connection::connect(std::move(settings));
    } catch (const pg::connect_error& failure) {
      caught = failure;
    }
  };
  run(task());
  if (!caught) throw std::runtime_error("a connect succeeded that should not");
  return *caught;
}

/// How many SCRAM iterations a login computes in about that time here, with this build: some machines and sanitizers need ten times as
/// long for one, and all of them have to end before the program does. Processor time, which is the same on a busy machine: no login may end
/// before it is counted.
unsigned iterations_of(std::chrono::seconds span) {
  unsigned tried = 1000;
  for (;;) {
    fake_server brief(costly_login(tried), true);
    pg::options settings(brief.conninfo() + " password=x");
    settings.address_timeout = hang;
    const std::clock_t begun = std::clock();
    (void)refused(settings);
    const double took = static_cast<double>(std::clock() - begun) / static_cast<double>(CLOCKS_PER_SEC);
    if (took > 0.05) return static_cast<unsigned>(tried * static_cast<double>(span.count()) / took);
    tried *= 4;
  }
}

/// A file with some contents, gone at the end.
class temporary_file {
 public:
  explicit temporary_file(const std::string& contents) {
    static int count = 0;
    const char* folder = std::getenv("TMPDIR");
    name_ = std::string(folder == nullptr ? "/tmp" : folder) + "/tidepool." + std::to_string(::getpid()) + "." + std::to_string(++count);
    std::ofstream(name_) << contents;
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { std::remove(name_.c_str()); }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

std::string random_secret() {
  std::random_device random;
  std::string out;
  for (int i = 0; i < 32; ++i) out += "abcdefghijklmnopqrstuvwxyz0123456789"[random() % 36];
  return out;
}

/// A role that has to log in by password, gone at the end.
class password_role {
 public:
  explicit password_role(std::string secret) : secret_(std::move(secret)) {
    auto task = [this]() -> asio::awaitable<void> {
      auto c = co_await connect();
      co_await c.script("drop role if exists tidepool_secret; create role tidepool_secret login password '" + secret_ +
                        "' in role needs_password");
    };
    run(task());
  }
  ~password_role() {
    auto task = []() -> asio::awaitable<void> {
      auto c = co_await connect();
      co_await c.script("drop role if exists tidepool_secret");
    };
    run(task());
  }
  std::string conninfo(const std::string& password) const {
    return "host=127.0.0.1 port=" + part("port") + " dbname=" + part("dbname") +
           " user=tidepool_secret sslmode=disable password=" + password;
  }

 private:
  std::string secret_;
};

}  // namespace

TEST_CASE("given no listener, when connecting, then it fails at once, as refused", "[postgres][connect][field-L4]") {
  const auto failure = refused("host=127.0.0.1 port=" + std::to_string(closed_port()) + " user=u dbname=d");
  CHECK(failure.reason() == pg::errc::connect_failed);
  CHECK(failure.kind() == tidepool::failure_kind::refused);
  CHECK(std::string(failure.what()).find("127.0.0.1") != std::string::npos);
  CHECK(std::string(failure.what()).find("refused") != std::string::npos);
}

TEST_CASE("given a local socket without a server, when connecting, then it is refused; a full queue is no room",
          "[postgres][connect][field-L4]") {
  using tidepool::failure_kind;
  char name[] = "/tmp/tidepool_socket_XXXXXX";
  const std::string dir = ::mkdtemp(name);
  const std::string path = dir + "/.s.PGSQL.5432";
  const auto kind = [&] { return refused("host=" + dir + " port=5432 user=u dbname=d").kind(); };
  CHECK(kind() == failure_kind::refused);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
  CHECK(kind() == failure_kind::refused);  // left behind by a server that was killed
  REQUIRE(::listen(listener, 0) == 0);
  const int first = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(first, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
  CHECK(kind() == failure_kind::server_full);
  ::close(first);
  ::close(listener);
  ::unlink(path.c_str());
  ::rmdir(dir.c_str());
}

TEST_CASE("given a peer that hangs up, when it has not said a word, then that is a refusal; later it is not",
          "[postgres][connect][field-L4]") {
  using tidepool::failure_kind;
  const std::string mode = GENERATE("disable", "prefer", "require");
  INFO(mode);
  fake_server proxy_without_server([](const std::string&) { return hang_up; }, true);
  CHECK(refused(proxy_without_server.conninfo() + " sslmode=" + mode).kind() == failure_kind::refused);
  fake_server half_a_word([](const std::string&) { return "R" + hang_up; }, true);
  CHECK(refused(half_a_word.conninfo() + " sslmode=disable").kind() == failure_kind::transient);
  // The kernel's answer for what a server that died had not accepted.
  asio::io_context context;
  asio::ip::tcp::acceptor dying(context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const auto port = std::to_string(dying.local_endpoint().port());
  std::thread end([&] {
    std::this_thread::sleep_for(100ms);
    dying.close();
  });
  const auto failure = refused("host=127.0.0.1 port=" + port + " user=u dbname=d sslmode=" + mode);
  end.join();
  INFO(failure.what());
  CHECK(failure.kind() == failure_kind::refused);
}

TEST_CASE("given a server that accepts and stays silent, when connecting, then the address's deadline ends it", "[postgres][connect]") {
  fake_server silent([](const std::string&) { return ""; });
  pg::options settings(silent.conninfo());
  settings.address_timeout = 200ms;
  const stopwatch watch;
  const auto failure = refused(settings);
  CHECK(failure.reason() == pg::errc::connect_timeout);
  CHECK(failure.code() == std::errc::timed_out);
  CHECK(failure.kind() == tidepool::failure_kind::transient);
  CHECK(watch.seconds() < 30);
}

TEST_CASE("given a server whose backlog is full, when connecting, then the deadline ends the connect itself", "[postgres][connect]") {
  asio::io_context context;
  asio::ip::tcp::acceptor deaf(context);
  deaf.open(asio::ip::tcp::v4());
  deaf.bind(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  deaf.listen(1);
  // Connections that are not accepted fill the queue; the kernel then drops further ones silently.
  std::vector<asio::ip::tcp::socket> fill;
  for (int i = 0; i < 8; ++i) {
    fill.emplace_back(context);
    fill.back().async_connect(deaf.local_endpoint(), [](tidepool::error_code) {});
  }
  context.run_for(50ms);
  pg::options settings("host=127.0.0.1 port=" + std::to_string(deaf.local_endpoint().port()) + " user=u dbname=d sslmode=disable");
  settings.address_timeout = 200ms;
  const auto failure = refused(settings);
  CHECK(failure.reason() == pg::errc::connect_timeout);
}

TEST_CASE("given several servers, when the first are closed, silent or bad, then the last one is reached", "[postgres][connect][server]") {
  NEEDS_SERVER();
  fake_server silent([](const std::string&) { return ""; });
  fake_server starting([](const std::string&) { return error_response("57P03", "the database system is starting up"); });
  const auto ports =
      std::to_string(closed_port()) + "," + std::to_string(silent.port()) + "," + std::to_string(starting.port()) + "," + part("port");
  pg::options settings("host=127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1 port=" + ports + " sslmode=disable user=" + part("user") +
                       " dbname=" + part("dbname"));
  settings.address_timeout = 300ms;
  auto task = [&]() -> asio::awaitable<int> {
    const auto shared = std::make_shared<const pg::options>(settings);
    const auto bad = std::make_shared<pg::detail::address_memory>();
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    auto first = co_await pg::connection::connect(here, shared, bad);
    // What failed is tried last from now on.
    auto second = co_await pg::connection::connect(here, shared, bad);
    co_return co_await second.one<int>("select 1");
  };
  CHECK(run(task()) == 1);
  CHECK(silent.accepted() == 1);
  CHECK(starting.accepted() == 1);
}

TEST_CASE("given servers to share the load, when connects are many, then each is first at times", "[postgres][connect]") {
  const pg::options settings("host=a,b,c,d user=u dbname=d load_balance_hosts=random");
  pg::detail::address_memory memory;
  using mark = pg::detail::address_memory::mark;
  memory.remember(pg::detail::lookup_key(settings.endpoints()[2]), mark::failed, 1h);
  std::map<std::string, int> first;
  for (int i = 0; i < 300; ++i) {
    const auto order = pg::detail::host_order(settings, memory);
    REQUIRE(order.size() == 4);
    ++first[order.front().host];
    CHECK(order.back().host == "c");
  }
  CHECK(first["a"] > 30);
  CHECK(first["b"] > 30);
  CHECK(first["d"] > 30);
  const pg::options in_order("host=a,b,c,d user=u dbname=d");
  CHECK(pg::detail::host_order(in_order, memory).front().host == "a");
  memory.remember("here", mark::failed, -1s);  // long ago
  CHECK(memory.recall("here") == mark::good);
}

TEST_CASE("given only servers that cannot be used, when connecting, then the error tells of each", "[postgres][connect]") {
  fake_server starting([](const std::string&) { return error_response("57P03", "the database system is starting up"); });
  const auto shut = std::to_string(closed_port());
  const auto failure =
      refused("host=127.0.0.1,localhost port=" + std::to_string(starting.port()) + "," + shut + " user=u dbname=d sslmode=disable");
  const std::string text = failure.what();
  CHECK(text.find("starting up") != std::string::npos);
  CHECK(text.find(shut) != std::string::npos);
  CHECK(failure.kind() == tidepool::failure_kind::starting);
}

TEST_CASE("given a full server, when connecting, then the pool learns that it is alive", "[postgres][connect]") {
  fake_server full([](const std::string&) { return error_response("53300", "sorry, too many clients already"); });
  const auto failure = refused(full.conninfo());
  CHECK(failure.kind() == tidepool::failure_kind::server_full);
  CHECK(failure.is("53300"));
}

TEST_CASE("given a peer that is no PostgreSQL, when connecting, then it is a clean error", "[postgres][connect]") {
  fake_server web([](const std::string&) { return "HTTP/1.0 400 Bad Request\r\n\r\n<html>\x1b[31mfake log line\n</html>"; });
  const auto failure = refused(web.conninfo());
  CHECK(failure.reason() == pg::errc::connect_failed);
  const std::string text = failure.what();
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
  CHECK(text.size() < 700);
}

TEST_CASE("given no sslmode, when a server is remote, then TLS is required unless less is asked for by name", "[postgres][connect]") {
  const auto sslmode = [](const std::string& conninfo, const std::string& address) {
    const auto settings = std::make_shared<const pg::options>(conninfo);
    const auto login = run(pg::detail::login_parameters::make(settings, ""));
    std::string said = "unset";
    for (const auto& [name, value] : login.parameters(settings->endpoints()[0], address)) {
      if (std::string(name) == "sslmode") said = value;
    }
    return said;
  };
  CHECK(sslmode("host=db", "192.0.2.1") == "require");
  CHECK(sslmode("host=db", "2001:db8::1") == "require");
  CHECK(sslmode("host=db sslmode=prefer", "192.0.2.1") == "prefer");
  CHECK(sslmode("host=db sslmode=verify-full", "192.0.2.1") == "verify-full");
  CHECK(sslmode("host=localhost", "127.0.0.1") == "unset");
  CHECK(sslmode("host=localhost", "::1") == "unset");
  CHECK(sslmode("host=/run/postgresql", "") == "unset");
}

TEST_CASE("given a man in the middle who denies TLS, when TLS is required, then nothing is sent in clear", "[postgres][connect]") {
  std::atomic<std::size_t> heard{0};
  fake_server liar([&heard](const std::string& said) {
    heard += said.size();
    return "N";
  });
  const auto failure = refused(liar.conninfo() + " sslmode=require password=tops3cret");
  CHECK(failure.reason() == pg::errc::tls_refused);
  CHECK(heard == 8);  // the SSLRequest and nothing else
}

TEST_CASE("given a server that repeats the password in its error, when connecting, then ours does not", "[postgres][connect]") {
  fake_server greedy([](const std::string&) { return error_response("28P01", "no entry for tops3cret"); });
  const auto failure = refused(greedy.conninfo() + " password=tops3cret");
  CHECK(std::string(failure.what()).find("tops3cret") == std::string::npos);
  CHECK(std::string(failure.message()).find("tops3cret") == std::string::npos);
  CHECK(failure.kind() == tidepool::failure_kind::permanent);
}

TEST_CASE("given a name that cannot be looked up, when connecting, then it fails and says so", "[postgres][connect]") {
  pg::options settings("host=no-such-host.invalid user=u dbname=d");
  settings.address_timeout = 2s;
  const auto failure = refused(settings);
  CHECK(std::string(failure.what()).find("no-such-host.invalid") != std::string::npos);
  CHECK(failure.kind() == tidepool::failure_kind::transient);
}

TEST_CASE("given a local socket, when connecting, then it is used", "[postgres][connect][server]") {
  NEEDS_SERVER();
  std::string folder;
  auto look = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    folder = co_await c.one<std::string>("select split_part(current_setting('unix_socket_directories'), ',', 1)");
  };
  run(look());
  if (::access(folder.c_str(), X_OK) != 0) {
    WARN("skipped: the server's socket is not within reach of this process");
    return;
  }
  auto task = [&]() -> asio::awaitable<bool> {
    auto c = co_await pg::connection::connect("host=" + folder + " port=" + part("port") + " user=" + part("user") +
                                              " dbname=" + part("dbname"));
    co_return co_await c.one<bool>("select inet_client_addr() is null");
  };
  CHECK(run(task()));
}

TEST_CASE("given a URI, when connecting, then it is understood", "[postgres][connect][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect("postgresql://" + part("user") + "@127.0.0.1:" + part("port") + "/" + part("dbname") +
                                              "?sslmode=disable");
    co_return co_await c.one<std::string>("select current_setting('application_name')");
  };
  CHECK(run(task()) == "tidepool");
}

TEST_CASE("given a name, when connecting, then it is looked up and the server reached", "[postgres][connect][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  tidepool::error_code unknown;
  (void)asio::ip::tcp::resolver(context).resolve("localhost", "", unknown);
  if (unknown) {
    WARN("skipped: this machine does not know the name localhost");
    return;
  }
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await pg::connection::connect("host=localhost sslmode=disable port=" + part("port") + " user=" + part("user") +
                                              " dbname=" + part("dbname"));
    co_return co_await c.one<int>("select 1");
  };
  CHECK(run(task()) == 1);
}

TEST_CASE("given a server with TLS, when it is required, then all is encrypted; verify-full checks the name",
          "[postgres][connect][server]") {
  NEEDS_SERVER();
  bool offers = false;
  std::string certificate;
  auto look = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    offers = co_await c.one<bool>("select current_setting('ssl') = 'on'");
    if (offers) certificate = co_await c.one<std::string>("select pg_read_file(current_setting('ssl_cert_file'))");
  };
  run(look());
  if (!offers) {
    WARN("the server offers no TLS: it was started on a machine without openssl");
    return;
  }
  const temporary_file root(certificate);
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect("sslmode=require");
    const auto big = co_await c.one<std::string>("select repeat('x', 3000000)");
    if (!c.encrypted() || big.size() != 3'000'000 || !c.usable()) throw std::runtime_error("not as asked");
    co_await c.close();
    const std::string rest =
        " port=" + part("port") + " user=" + part("user") + " dbname=" + part("dbname") + " sslmode=verify-full sslrootcert=" + root.name();
    auto verified = co_await pg::connection::connect("host=localhost hostaddr=127.0.0.1" + rest);
    if (!verified.encrypted()) throw std::runtime_error("not encrypted");
    // The right certificate under the wrong name.
    const auto wrong = co_await error_of(pg::connection::connect("host=db.example hostaddr=127.0.0.1" + rest));
    if (wrong.reason() != pg::errc::tls_refused) throw std::runtime_error("the wrong name was taken");
    // Another server, whose certificate is good, is still worth a try.
    auto second = co_await pg::connection::connect("host=db.example,localhost hostaddr=127.0.0.1,127.0.0.1" + rest);
    if (!second.encrypted()) throw std::runtime_error("not encrypted");
  };
  CHECK_NOTHROW(run(task()));
  const auto kind_of = [&](const std::string& more) {
    const auto failure = refused("host=localhost hostaddr=127.0.0.1 port=" + part("port") + " user=" + part("user") +
                                 " dbname=" + part("dbname") + " sslmode=verify-full " + more);
    INFO(failure.what());
    CHECK(failure.reason() == pg::errc::tls_refused);
    return failure.kind();
  };
  // A root that did not sign it, none at all, and the wrong name again.
  const temporary_file other{std::string(other_root)};
  CHECK(kind_of("sslrootcert=" + other.name()) == tidepool::failure_kind::permanent);
  CHECK(kind_of("sslrootcert=" + other.name() + ".not") == tidepool::failure_kind::permanent);
  CHECK(kind_of("host=db.example sslrootcert=" + root.name()) == tidepool::failure_kind::permanent);
}

TEST_CASE("given TLS that is denied, when it is required, then that is permanent; a lost connection is not", "[postgres][connect]") {
  const auto meet = [](std::string answer) {
    fake_server peer([&](const std::string&) { return answer; });
    const auto failure = refused(peer.conninfo() + " sslmode=require");
    INFO(failure.what());
    return std::make_pair(failure.reason(), failure.kind());
  };
  using tidepool::failure_kind;
  CHECK(meet("N") == std::make_pair(pg::errc::tls_refused, failure_kind::permanent));
  // A yes, and then the protocol's word that it shall not be: handshake_failure.
  fake_server alarmed([](const std::string& said) { return said[0] == '\x16' ? std::string("\x15\x03\x03\x00\x02\x02\x28", 7) : "S"; },
                      true);
  CHECK(refused(alarmed.conninfo() + " sslmode=require").kind() == failure_kind::permanent);
  // A yes with something in clear behind it (CVE-2021-23222).
  fake_server talkative([](const std::string&) { return "Sand more"; }, true);
  CHECK(refused(talkative.conninfo() + " sslmode=require").kind() == failure_kind::permanent);
  // A yes, and then the end: a server that goes down.
  CHECK(meet("S") == std::make_pair(pg::errc::connect_failed, failure_kind::transient));
  // No room for another process; said in the way of old.
  CHECK(meet(std::string("EFATAL: could not fork\n\0", 25)).second == failure_kind::transient);
  fake_server gone([](const std::string&) { return error_response("57P03", "starting"); });
  CHECK(refused(gone.conninfo() + " sslmode=require").kind() == failure_kind::transient);
}

TEST_CASE("given a password, when it is right, wrong or missing, then the login follows and no text repeats it",
          "[postgres][connect][server]") {
  NEEDS_SERVER();
  const auto secret = random_secret();
  const password_role role(secret);
  auto task = [&]() -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(role.conninfo(secret));
    co_return co_await c.one<std::string>("select current_user");
  };
  CHECK(run(task()) == "tidepool_secret");
  const auto wrong = random_secret();
  const auto failure = refused(role.conninfo(wrong));
  CHECK(failure.is("28P01"));
  CHECK(failure.kind() == tidepool::failure_kind::permanent);
  CHECK(std::string(failure.what()).find(wrong) == std::string::npos);
  const auto missing = refused(role.conninfo("''"));
  CHECK(missing.kind() == tidepool::failure_kind::permanent);

  pg::options rotating(role.conninfo("outdated"));
  int asked = 0;
  rotating.credential_provider = [&]() -> asio::awaitable<pg::credentials> {
    ++asked;
    co_await pause(1ms);
    co_return pg::credentials("", secret);
  };
  auto again = [&]() -> asio::awaitable<void> {
    auto one = co_await pg::connection::connect(rotating);
    auto two = co_await pg::connection::connect(rotating);
  };
  CHECK_NOTHROW(run(again()));
  CHECK(asked == 2);
}

TEST_CASE("given a login of absurdly many iterations, when connecting, then loop and deadline hold", "[postgres][connect]") {
  fake_server greedy(costly_login(iterations_of(3s)), true);
  const auto ticks = [](bool& done) -> asio::awaitable<std::chrono::milliseconds> {
    auto longest = 0ms;
    auto last = std::chrono::steady_clock::now();
    while (!done) {
      co_await pause(1ms);
      const auto now = std::chrono::steady_clock::now();
      longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(now - last));
      last = now;
    }
    co_return longest;
  };
  auto task = [&]() -> asio::awaitable<void> {
    pg::options settings(greedy.conninfo() + " password=x");
    settings.address_timeout = 300ms;
    bool done = false;
    std::optional<std::chrono::milliseconds> longest;
    asio::co_spawn(co_await asio::this_coro::executor, ticks(done),
                   [&](std::exception_ptr, std::chrono::milliseconds found) { longest = found; });
    const stopwatch time;
    const auto failure = co_await error_of(pg::connection::connect(settings));
    done = true;
    while (!longest) co_await pause(1ms);
    if (failure.reason() != pg::errc::connect_timeout) throw std::runtime_error(failure.what());
    // The computation takes seconds; the bounds are for a busy machine.
    if (time.seconds() > 2) throw std::runtime_error("the deadline did not hold");
    if (*longest > 250ms) throw std::runtime_error("the loop stood still for " + std::to_string(longest->count()) + " ms");
  };
  CHECK_NOTHROW(run(task()));
  CHECK(pg::detail::abandoned_logins().load() == 1);

  // Cancelled, and with the context gone, it is no different.
  fake_server less_greedy(costly_login(iterations_of(2s)), true);
  {
    asio::io_context context;
    asio::cancellation_signal stop;
    std::exception_ptr end;
    asio::co_spawn(
        context, pg::connection::connect(less_greedy.conninfo() + " password=x"),
        asio::bind_cancellation_slot(stop.slot(), on_end_of<pg::connection>([&](std::exception_ptr e, pg::connection) { end = e; })));
    context.run_for(100ms);
    stop.emit(asio::cancellation_type::terminal);
    context.run_for(1s);
    CHECK(end != nullptr);
    CHECK(context.stopped());
  }
  {
    asio::io_context context;
    asio::co_spawn(context, pg::connection::connect(less_greedy.conninfo() + " password=x"), asio::detached);
    context.run_for(100ms);
  }
  CHECK(pg::detail::abandoned_logins().load() == 3);
  // There is an end to what a hostile server can have computed at once.
  pg::detail::abandoned_logins() += 1;
  const auto enough = refused(greedy.conninfo() + " password=x");
  INFO(enough.what());
  CHECK(enough.kind() == tidepool::failure_kind::transient);
  CHECK(std::string(enough.what()).find("too many") != std::string::npos);
  pg::detail::abandoned_logins() -= 1;
  CHECK(side_threads_end());
  CHECK(pg::detail::abandoned_logins().load() == 0);
}

TEST_CASE("given no such database, when connecting, then it is permanent", "[postgres][connect][server]") {
  NEEDS_SERVER();
  const auto failure = refused(server() + " dbname=no_such_database");
  CHECK(failure.is("3D000"));
  CHECK(failure.kind() == tidepool::failure_kind::permanent);
}

TEST_CASE("given target_session_attrs, when a server does not fit, then it is passed over", "[postgres][connect][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto writable = co_await connect("target_session_attrs=read-write");
    auto primary = co_await connect("target_session_attrs=primary");
    auto rather = co_await connect("target_session_attrs=prefer-standby");
    const auto standby = co_await error_of(connect("target_session_attrs=standby"));
    const auto read_only = co_await error_of(connect("target_session_attrs=read-only"));
    const auto demoted = co_await error_of(connect("target_session_attrs=read-write options='-c default_transaction_read_only=on'"));
    auto frozen = co_await connect("target_session_attrs=read-only options='-c default_transaction_read_only=on'");
    for (const auto* failure : {&standby, &read_only, &demoted}) {
      if (std::string(failure->what()).find("target_session_attrs") == std::string::npos)
        throw std::runtime_error("not refused for its kind");
    }
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given on_connect, when a session is made or wiped, then it runs", "[postgres][connect][server]") {
  NEEDS_SERVER();
  pg::options settings = patient();
  settings.on_connect = [](pg::connection& c) -> asio::awaitable<void> { co_await c.script("set statement_timeout to 12345"); };
  auto task = [&]() -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(settings);
    const auto first = co_await c.one<std::string>("show statement_timeout");
    co_await c.script("set statement_timeout to 0");
    co_await c.reset(pg::reset_level::full);
    co_return first + co_await c.one<std::string>("show statement_timeout");
  };
  CHECK(run(task()) == "12345ms12345ms");
}

TEST_CASE("given a service file and the environment, when connecting, then libpq's rules hold", "[postgres][connect][server]") {
  NEEDS_SERVER();
  const temporary_file file("[ours]\nhost=127.0.0.1\nport=" + part("port") + "\nuser=" + part("user") + "\ndbname=" + part("dbname") +
                            "\nsslmode=disable\n");
  ::setenv("PGSERVICEFILE", file.name().c_str(), 1);
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect("service=ours application_name=by_service");
    co_return co_await c.one<std::string>("select current_setting('application_name')");
  };
  CHECK(run(task()) == "by_service");
  CHECK_THROWS_AS(pg::options("service=no_such_service"), pg::error);
  ::unsetenv("PGSERVICEFILE");
}

TEST_CASE("given connection strings, when they are read, then they mean what libpq takes them for", "[postgres][connect][field-R24]") {
  const auto theirs = [](const std::string& text) -> std::optional<std::map<std::string, std::string>> {
    char* why = nullptr;
    PQconninfoOption* const list = PQconninfoParse(text.c_str(), &why);
    PQfreemem(why);
    if (list == nullptr) return std::nullopt;
    std::map<std::string, std::string> out;
    for (const auto* o = list; o->keyword != nullptr; ++o) {
      if (o->val != nullptr) out.emplace(o->keyword, o->val);
    }
    PQconninfoFree(list);
    return out;
  };
  const auto ours = [](const std::string& text) -> std::optional<std::map<std::string, std::string>> {
    try {
      const auto read = pg::detail::parse_conninfo(text);
      return std::map<std::string, std::string>(read.begin(), read.end());
    } catch (const pg::error&) {
      return std::nullopt;
    }
  };
  for (const std::string text : {"",
                                 "  ",
                                 "host=a",
                                 "host = a",
                                 "host\t=\na port = 1",
                                 "host='a b' user=c",
                                 "password='it\\'s'",
                                 "password=a\\ b host=c",
                                 "host=''",
                                 "host=",
                                 "host= ",
                                 "host=a host=b",
                                 "host",
                                 "host a=b",
                                 "=a",
                                 "host='a",
                                 "host=a\\",
                                 "host='a'b=c",
                                 "hots=a",
                                 "requiressl=1",
                                 "requiressl=0",
                                 "password=\\",
                                 "user='a\\\\b'",
                                 "postgresql://",
                                 "postgres://h",
                                 "postgresql://u@h",
                                 "postgresql://u:p@h:1/d",
                                 "postgresql://u:p%40ss%2F@[::1]:5433/d?application_name=a%20b&sslmode=disable",
                                 "postgresql://h1:1,h2:2/d",
                                 "postgresql://h1,h2:2",
                                 "postgresql://%2Fvar%2Frun/d",
                                 "postgresql:///d?host=/tmp",
                                 "postgresql://:p@h",
                                 "postgresql://u:@h",
                                 "postgresql://@h",
                                 "postgresql://[::1",
                                 "postgresql://[]",
                                 "postgresql://[::1]x",
                                 "postgresql://h?a=b",
                                 "postgresql://h?sslmode",
                                 "postgresql://h?",
                                 "postgresql://h?sslmode=a=b",
                                 "postgresql://h?ssl=true",
                                 "postgresql://h/d%",
                                 "postgresql://h/d%4",
                                 "postgresql://h/d%zz",
                                 "postgresql://h/%00",
                                 "postgresql://h/d?user=x&",
                                 "postgresql://h/a/b?user=x",
                                 "postgresql://u:p:q@h",
                                 "postgresql://u@v@h",
                                 "postgresql://[::1]:1,[::2]:2/",
                                 "postgresql://h:,i:/",
                                 "POSTGRESQL://h"}) {
    INFO(text);
    CHECK(ours(text) == theirs(text));
  }
  // What only newer ones know, or do: keys that work here with every libpq, and blanks at the ends of a URI.
  const auto value = [&](const std::string& text, const std::string& key) { return (*ours(text))[key]; };
  for (const char* text :
       {"host=a load_balance_hosts=random", "host = a load_balance_hosts = random", "load_balance_hosts='random'",
        "postgresql://u@[::1]:5433,h2:5434/db?application_name=a&load_balance_hosts=random", "postgresql://h?load_balance_hosts=random "}) {
    INFO(text);
    CHECK(value(text, "load_balance_hosts") == "random");
  }
  CHECK(value("password='p load_balance_hosts=random q'", "password") == "p load_balance_hosts=random q");
  CHECK(value("postgresql://h/d\n", "dbname") == "d");
}

TEST_CASE("given a wrong connection string, when it is read, then the error names the place and no secret",
          "[postgres][connect][field-R24][field-U10]") {
  const auto said = [](const std::string& text) -> std::string {
    try {
      pg::options{text};
    } catch (const pg::error& failure) {
      return failure.what();
    }
    return "taken";
  };
  const auto has = [](const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; };
  CHECK(has(said("host=db prot=5433"), "unknown option \"prot\" at position 9"));
  CHECK(has(said("host=db user"), "\"=\" is missing after \"user\" at position 9"));
  CHECK(has(said("host='db"), "the value of \"host\" at position 1 has no closing quote"));
  CHECK(has(said("host=db load_balance_hosts=yes"), "load_balance_hosts is none of disable, random"));
  CHECK(has(said("host=db target_session_attrs=master"), "target_session_attrs is none of"));
  CHECK(has(said("mysql://u:s3cret@db/shop"), "a URI has to begin with postgresql://"));
  CHECK(has(said("postgresql://db/shop?sslmod=x"), "\"sslmod\" at position 22"));
  for (const char* text : {"password=top s3cret", "password=top s3cret=x", "password='s3cret", "password=x=y s3cret",
                           "mysql://u:s3cret@db/shop", "postgresql://u:pa@s3cret?s3cret=x@db", "postgresql://u:pa/ss?s3cret=x@db/d",
                           "postgresql://db?password=a&s3cret=1", "postgresql://u:s3cret@db/%zz", "password=x s3cret=1"}) {
    const auto shown = said(text);
    INFO(shown);
    CHECK_FALSE(has(shown, "s3cret"));
    CHECK(shown != "taken");
  }
  pg::options settings("host=db");
  CHECK_THROWS_AS(settings.set("load_balance_hosts", "yes"), pg::error);
  CHECK_THROWS_AS(settings.set("target_session_attrs", "master"), pg::error);
  settings.set("port", "1,2");
  CHECK_THROWS_AS(pg::connector(settings), pg::error);
}

TEST_CASE("given a null pointer for a string, when a connector or option is made of it, then it is an empty one",
          "[postgres][connect][field-N6]") {
  const char* const unset = std::getenv("TIDEPOOL_THIS_IS_NOT_SET");
  const pg::connector from(unset);
  CHECK(from.settings().get("client_encoding") == "UTF8");
  pg::options settings("user=app");
  settings.set("user", unset);
  CHECK(settings.get("user").empty());
}

TEST_CASE("given an encoding that hides commas and braces, when a session has or gets it, then it is refused",
          "[postgres][connect][server][field-R09]") {
  NEEDS_SERVER();
  for (const char* name : {"SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004"}) {
    const auto failure = refused(server() + " client_encoding=" + name);
    INFO(failure.what());
    CHECK(failure.kind() == tidepool::failure_kind::permanent);
    CHECK(std::string(failure.what()).find("client_encoding is") != std::string::npos);
  }
  auto task = []() -> asio::awaitable<void> {
    for (const char* name : {"UTF8", "LATIN1", "SQL_ASCII", "EUC_JP", "EUC_KR", "WIN1252", "KOI8R"}) {
      auto c = co_await connect(std::string("client_encoding=") + name);
      co_await c.exec("select 1");
    }
    auto c = co_await connect();
    co_await c.script("set client_encoding to LATIN1");
    const auto failure = co_await error_of(c.exec("set client_encoding to SJIS"));
    if (failure.reason() != pg::errc::bad_usage) throw std::runtime_error(failure.what());
    if (c.usable() || c.after_lease() != tidepool::lease_end::broken) throw std::runtime_error("still in use");
    const auto next = co_await error_of(c.exec("select array['a']"));
    if (!next.connection_lost()) throw std::runtime_error("used further");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given TLS that is refused, when only our default asks for it, then the error says so", "[postgres][connect][field-U10]") {
  const auto settings = std::make_shared<const pg::options>("host=db");
  const auto login = run(pg::detail::login_parameters::make(settings, ""));
  CHECK(login.tls_advice("192.0.2.1").find("sslmode") != std::string::npos);
  CHECK(login.tls_advice("127.0.0.1").empty());
  const auto named = std::make_shared<const pg::options>("host=db sslmode=require");
  CHECK(run(pg::detail::login_parameters::make(named, "")).tls_advice("192.0.2.1").empty());
}

TEST_CASE("given a connect that is cancelled at any moment, when it ends, then nothing is left open", "[postgres][connect][server]") {
  NEEDS_SERVER();
  const int before = open_descriptors();
  int cancelled = 0;
  for (int step = 0; step < 40; ++step) {
    asio::io_context context;
    asio::cancellation_signal signal;
    bool done = false;
    const on_end_of<pg::connection> at_end = [&](std::exception_ptr e, pg::connection) {
      done = true;
      if (e) ++cancelled;
    };
    asio::co_spawn(context, connect(), asio::bind_cancellation_slot(signal.slot(), at_end));
    for (int i = 0; i < step; ++i) context.run_one_for(100ms);
    signal.emit(asio::cancellation_type::terminal);
    context.run_for(hang);
    REQUIRE(done);
  }
  CHECK(cancelled > 0);
  CHECK(settled_descriptors(before) == before);
}

TEST_CASE("given a context that is destroyed while connecting, when it is gone, then nothing is left open", "[postgres][connect]") {
  fake_server silent([](const std::string&) { return ""; });
  const int before = open_descriptors();
  for (int step = 0; step < 8; ++step) {
    asio::io_context context;
    asio::co_spawn(
        context,
        pg::connection::connect(step % 2 == 0 ? silent.conninfo() : "host=localhost user=u dbname=d port=" + std::to_string(silent.port())),
        asio::detached);
    for (int i = 0; i < step; ++i) context.run_one_for(50ms);
  }
  CHECK(settled_descriptors(before) == before);
}
