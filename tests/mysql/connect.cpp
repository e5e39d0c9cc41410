// SPDX-License-Identifier: BSL-1.0
// tidepool - connecting of the MySQL driver: options, addresses, TLS, errors and their kinds, and that nothing blocks.
#include "kit.hpp"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <tidepool/detail/driver/asio_local.hpp>

using namespace tidepool_tests;

namespace {

std::string checked(const my::options& wrong) {
  try {
    wrong.check();
  } catch (const my::error& failure) {
    return failure.what();
  }
  return "";
}
std::string said_by(const std::string& url) {
  try {
    (void)my::options(url);
  } catch (const my::error& failure) {
    return failure.what();
  }
  return "";
}

my::connect_error refused(my::options how) {
  return my_run([](my::options to) -> asio::awaitable<my::connect_error> {
    std::optional<my::connect_error> caught;
    try {
      (void)co_await my::connection::connect(std::move(to));
    } catch (const my::connect_error& failure) {
      caught = failure;
    }
    if (!caught) throw std::runtime_error("a connect failed that did not");
    co_return *caught;
  }(std::move(how)));
}

/// A peer in this process: accepts, says what it has to say, and waits or closes.
class peer {
 public:
  peer(asio::io_context& context, std::string words, bool closes)
      : acceptor_(context, {asio::ip::address_v4::loopback(), 0}), words_(std::move(words)), closes_(closes) {
    accept();
  }
  unsigned port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, asio::ip::tcp::socket socket) {
      if (failure) return;
      asio::write(socket, asio::buffer(words_));
      if (!closes_) held_.push_back(std::move(socket));
      accept();
    });
  }
  asio::ip::tcp::acceptor acceptor_;
  std::string words_;
  bool closes_;
  std::vector<asio::ip::tcp::socket> held_;
};

/// Connects to a peer beside it, and counts how often the event loop goes round meanwhile.
std::pair<my::connect_error, int> meet(std::string words, bool closes, const std::function<void(my::options&)>& more = {}) {
  asio::io_context context;
  peer other(context, std::move(words), closes);
  my::options how;
  how.port = other.port();
  how.address_timeout = 300ms;
  if (more) more(how);
  std::optional<my::connect_error> caught;
  int rounds = 0;
  asio::steady_timer timer(context);
  std::function<void()> tick = [&] {
    timer.expires_after(5ms);
    timer.async_wait([&](tidepool::error_code failure) {
      if (failure || caught) return;
      ++rounds;
      tick();
    });
  };
  tick();
  auto work = [](my::options to, std::optional<my::connect_error>& out) -> asio::awaitable<void> {
    try {
      (void)co_await my::connection::connect(std::move(to));
    } catch (const my::connect_error& failure) {
      out = failure;
    }
  };
  asio::co_spawn(context, work(how, caught), asio::detached);
  const auto until = std::chrono::steady_clock::now() + my_hang;
  while (!caught && std::chrono::steady_clock::now() < until) context.run_one_for(100ms);
  if (!caught) throw std::runtime_error("no error came");
  return {*caught, rounds};
}

std::string packet(unsigned char number, const std::string& payload) {
  std::string out{static_cast<char>(payload.size() & 0xFFU), static_cast<char>(payload.size() >> 8U), '\0', static_cast<char>(number)};
  return out + payload;
}
/// A greeting of protocol 10, with TLS or without.
std::string greeting(bool tls) {
  std::string out = "\x0a";
  out += std::string("8.0.0-fake", 11);
  out += std::string("\x01\0\0\0", 4) + "abcdefgh" + std::string(1, '\0');
  const unsigned flags = 0xf7dfU | 0x8000U;
  const unsigned low = tls ? flags | 0x0800U : flags & ~0x0800U;
  out += static_cast<char>(low & 0xFFU);
  out += static_cast<char>(low >> 8U);
  out += std::string("\x2d\x02\0\xff\x81\x15", 6) + std::string(10, '\0') + "ijklmnopqrst" + std::string(1, '\0') +
         std::string("mysql_native_password", 22);
  return packet(0, out);
}

}  // namespace

TEST_CASE("given URLs, when they are read, then the options have what they say") {
  const my::options all(
      "mysql://us%40er:p%3Ass@db1,db2:3307,[::1]:3308/shop?ssl-mode=verify-full&ssl-ca=/ca.pem&connect-timeout=7&writable=true");
  CHECK(all.user == "us@er");
  CHECK(all.password == "p:ss");
  CHECK(all.database == "shop");
  CHECK(all.ssl_mode == my::ssl_mode::verify_full);
  CHECK(all.ssl_ca == "/ca.pem");
  CHECK(all.address_timeout == 7s);
  CHECK(all.writable);
  const auto servers = all.endpoints();
  REQUIRE(servers.size() == 3);
  CHECK(servers[0].text() == "db1:3306");
  CHECK(servers[1].text() == "db2:3307");
  CHECK(servers[2].text() == "[::1]:3308");
  CHECK(all.summary() == "host=db1,db2:3307,[::1]:3308 port=3306 database=shop user=us@er");
  CHECK(my::options("mariadb://u@h/").host == "h");
  CHECK(my::options("mysql://u@h/?socket=/run/my.sock").endpoints()[0].local());
  CHECK(my::options("").endpoints()[0].text() == "127.0.0.1:3306");
  CHECK(my::options(static_cast<const char*>(nullptr)).endpoints().size() == 1);
}

TEST_CASE("given wrong options, when they are read, then the error names the place and no secret") {
  CHECK(said_by("host=db").find("begins with mysql://") != std::string::npos);
  CHECK(said_by("mysql://u:se%cret@h").find("%25") != std::string::npos);
  CHECK(said_by("mysql://u:se%cret@h").find("cret") == std::string::npos);
  CHECK(said_by("mysql://u:secret:1@h:99999/").find("secret") == std::string::npos);
  CHECK(said_by("mysql://h:99999/").find("1 to 65535") != std::string::npos);
  CHECK(said_by("mysql://h/?ssl-mode=maybe").find("ssl-mode is none of") != std::string::npos);
  CHECK(said_by("mysql://h/?nonsense=1").find("nonsense") != std::string::npos);
  CHECK(said_by("mysql://h/?writable").find("\"=\" is missing") != std::string::npos);
  my::options wrong;
  wrong.cancel_timeout = 0s;
  CHECK(checked(wrong).find("cancel_timeout") != std::string::npos);
  wrong = my::options();
  wrong.ssl_mode = my::ssl_mode::verify_ca;
  CHECK(checked(wrong).find("ssl_ca") != std::string::npos);
  wrong = my::options();
  wrong.ssl_cert = "a";
  CHECK(checked(wrong).find("ssl_key") != std::string::npos);
  CHECK(checked(my::options()).empty());
}

TEST_CASE("given no server or a wrong login, when connecting fails, then the kind says what to do") {
  NEEDS_SERVER();
  my::options none(my_server());
  none.port = 1;
  none.host = "127.0.0.1";
  const auto closed = refused(none);
  CHECK(closed.kind() == tidepool::failure_kind::refused);
  CHECK(std::string(closed.what()).find("127.0.0.1:1") != std::string::npos);
  my::options wrong(my_server());
  wrong.user = "nobody_of_that_name";
  wrong.password = "very-secret";
  const auto denied = refused(wrong);
  CHECK(denied.kind() == tidepool::failure_kind::permanent);
  CHECK((denied.is(1045) || denied.is(1698)));
  CHECK(denied.consequence() == my::consequence::permanent);
  CHECK(std::string(denied.what()).find("very-secret") == std::string::npos);
  my::options nowhere(my_server());
  nowhere.database = "no_such_database";
  const auto missing = refused(nowhere);
  CHECK((missing.is(1049) || missing.is(1044)));
  CHECK(missing.kind() == tidepool::failure_kind::permanent);
  my::options path(my_server());
  path.socket = "/nonexistent/socket";
  CHECK(refused(path).kind() == tidepool::failure_kind::refused);
  my::options unknown(my_server());
  unknown.host = "no-such-host.invalid";
  const auto name = refused(unknown);
  CHECK(std::string(name.what()).find("looking up") != std::string::npos);
}

TEST_CASE("given several servers, when the first are down, then the last is used") {
  NEEDS_SERVER();
  my::options many(my_server());
  const auto good = many.endpoints()[0].text();
  many.host = "127.0.0.1:1,127.0.0.1:2,localhost:" + std::to_string(many.endpoints()[0].port);
  many.load_balance = false;
  my_with(many, [](my::connection& c) -> asio::awaitable<void> {
    my_must(co_await c.one<int>("select 1") == 1, "a server");
    my_must(c.peer().find("(localhost)") != std::string_view::npos, std::string(c.peer()));
  });
  many.host = "127.0.0.1:1,127.0.0.1:2";
  const auto all = refused(many);
  CHECK(all.kind() == tidepool::failure_kind::refused);
  CHECK(std::string(all.what()).find("no server of 2") != std::string::npos);
}

TEST_CASE("given a local socket, when connecting, then it is used, without TLS") {
  NEEDS_SERVER();
  my::options how(my_server());
  how.socket = my_dir() + "/socket";
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    my_must(co_await c.one<int>("select 1") == 1, "by the socket");
    my_must(!c.encrypted(), "not encrypted");
  });
}

TEST_CASE("given a peer that is silent, closes or talks nonsense, when connecting, then that is told in time") {
  auto [silent, rounds] = meet("", false);
  CHECK(silent.reason() == my::errc::connect_timeout);
  CHECK(std::string(silent.what()).find("no greeting") != std::string::npos);
  CHECK(rounds >= 10);
  auto closed = meet("", true).first;
  INFO(closed.what());
  CHECK(closed.kind() == tidepool::failure_kind::refused);
  auto half = meet(greeting(false).substr(0, 30), false).first;
  CHECK(half.reason() == my::errc::connect_timeout);
  auto nonsense = meet("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", true).first;
  CHECK(nonsense.reason() == my::errc::connect_failed);
  auto [stops, turns] = meet(greeting(false), false);
  CHECK(stops.reason() == my::errc::connect_timeout);
  CHECK(std::string(stops.what()).find("no answer to the login") != std::string::npos);
  CHECK(turns >= 10);
}

TEST_CASE("given a greeting that is an error, when connecting, then its number decides the kind") {
  const auto full = meet(packet(0, std::string("\xff\x10\x04", 3) + "Too many connections"), true).first;
  CHECK(full.is(1040));
  CHECK(full.kind() == tidepool::failure_kind::server_full);
  CHECK(full.consequence() == my::consequence::server_full);
  const auto down = meet(packet(0, std::string("\xff\x1d\x04", 3) + "Server shutdown in progress"), true).first;
  CHECK(down.kind() == tidepool::failure_kind::starting);
}

TEST_CASE("given a server without TLS, when that is required, then nothing is sent to it") {
  const auto no_tls = meet(greeting(false), false, [](my::options& how) { how.ssl_mode = my::ssl_mode::required; }).first;
  INFO(no_tls.what());
  CHECK(no_tls.reason() == my::errc::tls_refused);
  CHECK(no_tls.kind() == tidepool::failure_kind::permanent);
  // The client library reads only what the packet's length says, and the flag for TLS would stand behind it.
  auto lying = greeting(true);
  lying[0] = 20;
  const auto short_one = meet(lying, false, [](my::options& how) { how.ssl_mode = my::ssl_mode::required; }).first;
  INFO(short_one.what());
  CHECK(short_one.reason() == my::errc::tls_refused);
}

TEST_CASE("given connects that are cut at every byte of the greeting, when they fail, then nothing is leaked") {
  const auto whole = greeting(false);
  const int before = my_descriptors();
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    const auto cut = meet(whole.substr(0, i), true).first;
    CHECK(cut.reason() == my::errc::connect_failed);
  }
  CHECK(my_descriptors() == before);
}

TEST_CASE("given a connect whose context is destroyed, when all is over, then nothing is leaked") {
  const int before = my_descriptors();
  {
    asio::io_context context;
    peer other(context, greeting(false), false);
    my::options how;
    how.port = other.port();
    asio::co_spawn(
        context, [](my::options to) -> asio::awaitable<void> { (void)co_await my::connection::connect(std::move(to)); }(how),
        asio::detached);
    context.run_for(50ms);
  }
  CHECK(my_descriptors() == before);
}

TEST_CASE("given a credential provider, when connecting, then what it returns is used each time") {
  NEEDS_SERVER();
  my::options how(my_server());
  const auto user = std::exchange(how.user, "wrong_user");
  int asked = 0;
  how.credential_provider = [&asked, user]() -> asio::awaitable<my::credentials> {
    ++asked;
    co_return my::credentials(user, "");
  };
  for (int i = 1; i <= 2; ++i) {
    my_with(how, [](my::connection& c) -> asio::awaitable<void> { my_must(co_await c.one<int>("select 1") == 1, "logged in"); });
    CHECK(asked == i);
  }
}

TEST_CASE("given on_connect, when connecting and after a full reset, then it runs") {
  NEEDS_SERVER();
  my::options how(my_server());
  how.on_connect = [](my::connection& c) -> asio::awaitable<void> {
    co_await c.exec("set @here = cast(coalesce(@here, 0) + 1 as signed)");
  };
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    my_must(co_await c.one<int>("select @here") == 1, "after connecting");
    co_await c.exec("set @here = 10, @other = 1");
    co_await c.reset(my::reset_level::full);
    my_must(co_await c.one<int>("select @here") == 1, "after a reset");
    my_must(!co_await c.one<std::optional<int>>("select @other"), "and all else is gone");
  });
}
