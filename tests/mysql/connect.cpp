// SPDX-License-Identifier: BSL-1.0
// tidepool - connecting of the MySQL driver: options, addresses, TLS, errors and their kinds, and that nothing blocks.
#include "fake_server.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <tidepool/mysql/detail/dial.hpp>

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
  return run([](my::options to) -> asio::awaitable<my::connect_error> {
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

/// What a peer does when a client has begun a TLS handshake: sends this, and then waits, closes or resets.
struct tls_answer {
  enum class then { waits, closes, resets };
  std::string words;
  then end;
};

/// A peer in this process: accepts, says what it has to say, and waits or closes, or does so in the TLS handshake.
class peer {
 public:
  peer(asio::io_context& context, std::string words, bool closes, std::optional<tls_answer> in_handshake = {})
      : acceptor_(context, {asio::ip::address_v4::loopback(), 0}),
        words_(std::move(words)),
        closes_(closes),
        in_handshake_(std::move(in_handshake)) {
    accept();
  }
  unsigned port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, asio::ip::tcp::socket socket) {
      if (failure) return;
      asio::write(socket, asio::buffer(words_));
      if (in_handshake_) {
        asio::co_spawn(acceptor_.get_executor(), shake(std::move(socket)), asio::detached);
      } else if (!closes_) {
        held_.push_back(std::move(socket));
      }
      accept();
    });
  }
  asio::awaitable<void> shake(asio::ip::tcp::socket socket) {
    std::array<char, 4096> bytes{};
    std::size_t got = 0;
    while (got < 36 + 100) got += co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);  // a request, a greeting
    co_await asio::async_write(socket, asio::buffer(in_handshake_->words), asio::use_awaitable);
    if (in_handshake_->end == tls_answer::then::waits) held_.push_back(std::move(socket));
    if (in_handshake_->end == tls_answer::then::resets) socket.set_option(asio::socket_base::linger(true, 0));
  }
  asio::ip::tcp::acceptor acceptor_;
  std::string words_;
  bool closes_;
  std::optional<tls_answer> in_handshake_;
  std::vector<asio::ip::tcp::socket> held_;
};

/// Connects to a peer beside it, and counts how often the event loop goes round meanwhile.
std::pair<my::connect_error, int> meet(std::string words, bool closes, const std::function<void(my::options&)>& more = {},
                                       std::chrono::milliseconds patience = 20s, std::optional<tls_answer> in_handshake = {}) {
  asio::io_context context;
  peer other(context, std::move(words), closes, std::move(in_handshake));
  my::options how;
  how.port = other.port();
  how.address_timeout = patience;
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
  const auto until = std::chrono::steady_clock::now() + hang;
  while (!caught && std::chrono::steady_clock::now() < until) context.run_one_for(100ms);
  if (!caught) throw std::runtime_error("no error came");
  return {*caught, rounds};
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

TEST_CASE("given wrong options, when they are read, then the error names the place and no secret", "[mysql-S6][mysql-S19]") {
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
  for (auto field : {&my::options::user, &my::options::password, &my::options::database, &my::options::host, &my::options::ssl_ca}) {
    wrong = my::options();
    wrong.*field = std::string("a\0b", 3);
    CHECK(checked(wrong).find("NUL byte") != std::string::npos);
  }
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
    must(co_await c.one<int>("select 1") == 1, "a server");
    must(c.peer().find("(localhost)") != std::string_view::npos, std::string(c.peer()));
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
    must(co_await c.one<int>("select 1") == 1, "by the socket");
    must(!c.encrypted(), "not encrypted");
  });
}

TEST_CASE("given a peer that is silent, closes or talks nonsense, when connecting, then that is told in time") {
  auto [silent, rounds] = meet("", false, {}, 300ms);
  CHECK(silent.reason() == my::errc::connect_timeout);
  CHECK(std::string(silent.what()).find("no greeting") != std::string::npos);
  CHECK(rounds >= 10);
  auto closed = meet("", true).first;
  INFO(closed.what());
  CHECK(closed.kind() == tidepool::failure_kind::refused);
  auto half = meet(my_greeting(false).substr(0, 30), false, {}, 300ms).first;
  CHECK(half.reason() == my::errc::connect_timeout);
  auto nonsense = meet("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", true).first;
  CHECK(nonsense.reason() == my::errc::connect_failed);
  auto [stops, turns] = meet(my_greeting(false), false, {}, 300ms);
  CHECK(stops.reason() == my::errc::connect_timeout);
  CHECK(std::string(stops.what()).find("no answer to the login") != std::string::npos);
  CHECK(turns >= 10);
  // The client library waits within the handshake of TLS.
  auto [tls, also] = meet(
      my_greeting(true), false, [](my::options& how) { how.ssl_mode = my::ssl_mode::required; }, 300ms);
  CHECK(tls.reason() == my::errc::connect_timeout);
  CHECK(also >= 10);
}

TEST_CASE("given a greeting that is an error, when connecting, then its number decides the kind") {
  const auto full = meet(my_packet(0, std::string("\xff\x10\x04", 3) + "Too many connections"), true).first;
  CHECK(full.is(1040));
  CHECK(full.kind() == tidepool::failure_kind::server_full);
  CHECK(full.consequence() == my::consequence::server_full);
  const auto down = meet(my_packet(0, std::string("\xff\x1d\x04", 3) + "Server shutdown in progress"), true).first;
  CHECK(down.kind() == tidepool::failure_kind::starting);
}

TEST_CASE("given a server without TLS, when that is required, then nothing is sent to it") {
  const auto no_tls = meet(my_greeting(false), false, [](my::options& how) { how.ssl_mode = my::ssl_mode::required; }).first;
  INFO(no_tls.what());
  CHECK(no_tls.reason() == my::errc::tls_refused);
  CHECK(no_tls.kind() == tidepool::failure_kind::permanent);
  // The client library reads only what the packet's length says, and the flag for TLS would stand behind it.
  auto lying = my_greeting(true);
  lying[0] = 20;
  const auto short_one = meet(lying, false, [](my::options& how) { how.ssl_mode = my::ssl_mode::required; }).first;
  INFO(short_one.what());
  CHECK(short_one.reason() == my::errc::tls_refused);
}

TEST_CASE("given a TLS handshake that ends early, when connecting, then TLS is not refused") {
  const auto required = [](my::options& how) { how.ssl_mode = my::ssl_mode::required; };
  const auto shake = [&](std::string words, tls_answer::then end) {
    return meet(my_greeting(true), false, required, 20s, tls_answer{std::move(words), end}).first;
  };
  const auto alert = [&](char number) { return shake({'\x15', 3, 3, 0, 2, 2, number}, tls_answer::then::waits); };
  for (const auto& ended : {meet(my_greeting(true), true, required).first, shake("", tls_answer::then::closes),
                            shake("\x16\x03\x03", tls_answer::then::resets), alert(80)}) {  // an internal error
    INFO(ended.what());
    CHECK(ended.reason() == my::errc::connect_failed);
    CHECK(ended.kind() == tidepool::failure_kind::transient);
  }
  for (const int refusal : {40, 48, 70}) {  // nothing in common, authority, version
    const auto permanent = alert(static_cast<char>(refusal));
    INFO(permanent.what());
    CHECK(permanent.reason() == my::errc::tls_refused);
    CHECK(permanent.kind() == tidepool::failure_kind::permanent);
  }
}

TEST_CASE("given words about a failed TLS handshake, when they are read, then only lasting ones refuse") {
  using my::detail::refuses_tls;
  my::options how;
  const auto refuses = [&how](my::ssl_mode mode, const std::string& words) { return refuses_tls(how, mode, "TLS/SSL error: " + words); };
  for (const char* lasting :
       {"key values mismatch", "no start line", "no certificate or crl found", "No such file or directory (2)", "no cipher match",
        "unsupported", "sslv3 alert handshake failure", "tlsv1 alert protocol version", "tlsv1 alert unknown ca",
        "sslv3 alert bad certificate", "tlsv13 alert certificate required", "unsupported protocol", "tlsv1 unrecognized name"}) {
    INFO(lasting);
    CHECK(refuses(my::ssl_mode::required, lasting));
    CHECK(refuses(my::ssl_mode::verify_full, lasting));
  }
  for (const char* once : {"unexpected eof while reading", "Connection reset by peer (104)", "decryption failed or bad record mac",
                           "sslv3 alert bad record mac", "unexpected message", "wrong version number", "tlsv1 alert internal error"}) {
    INFO(once);
    CHECK_FALSE(refuses(my::ssl_mode::required, once));
    CHECK_FALSE(refuses(my::ssl_mode::verify_full, once));
  }
  // Without a check they are said of every handshake that failed after the certificate had come.
  for (const char* of_check : {"self-signed certificate", "certificate has expired", "unable to get local issuer certificate",
                               "Validation of SSL server certificate failed"}) {
    INFO(of_check);
    CHECK(refuses(my::ssl_mode::verify_ca, of_check));
  }
  CHECK_FALSE(refuses(my::ssl_mode::required, "self-signed certificate"));
  how.ssl_ca = "/ca.pem";
  CHECK(refuses(my::ssl_mode::required, "self-signed certificate"));
}

TEST_CASE("given connects that are cut at every byte of the greeting, when they fail, then nothing is leaked") {
  const auto whole = my_greeting(false);
  const int before = open_descriptors();
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    const auto cut = meet(whole.substr(0, i), true).first;
    CHECK(cut.reason() == my::errc::connect_failed);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("given a connect whose context is destroyed, when all is over, then nothing is leaked") {
  const int before = open_descriptors();
  {
    asio::io_context context;
    peer other(context, my_greeting(false), false);
    my::options how;
    how.port = other.port();
    asio::co_spawn(
        context, [](my::options to) -> asio::awaitable<void> { (void)co_await my::connection::connect(std::move(to)); }(how),
        asio::detached);
    context.run_for(50ms);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("given a credential provider, when connecting, then what it returns is used each time", "[mysql-S17]") {
  NEEDS_SERVER();
  my::options how(my_server());
  const auto user = std::exchange(how.user, "wrong_user");
  int asked = 0;
  how.credential_provider = [&asked, user]() -> asio::awaitable<my::credentials> {
    ++asked;
    co_return my::credentials(user, "");
  };
  for (int i = 1; i <= 2; ++i) {
    my_with(how, [](my::connection& c) -> asio::awaitable<void> { must(co_await c.one<int>("select 1") == 1, "logged in"); });
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
    must(co_await c.one<int>("select @here") == 1, "after connecting");
    co_await c.exec("set @here = 10, @other = 1");
    co_await c.reset(my::reset_level::full);
    must(co_await c.one<int>("select @here") == 1, "after a reset");
    must(!co_await c.one<std::optional<int>>("select @other"), "and all else is gone");
  });
}

TEST_CASE("given a server with TLS, when a mode asks for it, then name and authority are checked", "[mysql-S5]") {
  NEEDS_SERVER();
  const auto encrypted = [](my::options how) {
    bool out = false;
    my_with(std::move(how), [&out](my::connection& c) -> asio::awaitable<void> {
      const auto cipher = co_await c.exec("show status like 'Ssl_cipher'");
      out = !cipher[0][1].as<std::string>().empty();
      must(out == c.encrypted(), "as the server says");
    });
    return out;
  };
  my::options how(my_server());
  const auto port = std::to_string(how.endpoints()[0].port);
  CHECK_FALSE(encrypted(how));  // this machine
  how.ssl_mode = my::ssl_mode::required;
  CHECK(encrypted(how));
  how.ssl_mode = my::ssl_mode::verify_full;
  how.ssl_ca = my_dir() + "/server.crt";
  how.host = "localhost:" + port;
  CHECK(encrypted(how));
  // The certificate is for the name, and a numeric address is dialled in both cases.
  how.host = "127.0.0.1:" + port;
  const auto other_name = refused(how);
  INFO(other_name.what());
  CHECK(other_name.reason() == my::errc::tls_refused);
  CHECK(other_name.kind() == tidepool::failure_kind::permanent);
  how.ssl_mode = my::ssl_mode::verify_ca;
  CHECK(encrypted(how));
  // Signed by nobody that this machine knows.
  how.ssl_mode = my::ssl_mode::verify_full;
  how.host = "localhost:" + port;
  how.ssl_ca.clear();
  CHECK(refused(how).reason() == my::errc::tls_refused);
  how.ssl_mode = my::ssl_mode::verify_ca;
  how.ssl_ca = "/etc/ssl/certs/ca-certificates.crt";
  CHECK(refused(how).reason() == my::errc::tls_refused);
  how.ssl_ca = my_dir() + "/none.crt";
  CHECK(refused(how).kind() == tidepool::failure_kind::permanent);
}

TEST_CASE("given no ssl_mode, when a server is on another machine, then TLS is required, else it is not", "[mysql-S5]") {
  using my::detail::mode_for;
  const my::options how;
  CHECK(mode_for(how, {{"db", 3306}, "10.0.0.7"}) == my::ssl_mode::required);
  CHECK(mode_for(how, {{"db", 3306}, "fe80::1"}) == my::ssl_mode::required);
  CHECK(mode_for(how, {{"localhost", 3306}, "127.0.0.1"}) == my::ssl_mode::disabled);
  CHECK(mode_for(how, {{"::1", 3306}, "::1"}) == my::ssl_mode::disabled);
  CHECK(mode_for(how, {{"/run/mysqld/mysqld.sock", 0}, ""}) == my::ssl_mode::disabled);
  my::options said;
  said.ssl_mode = my::ssl_mode::disabled;
  CHECK(mode_for(said, {{"db", 3306}, "10.0.0.7"}) == my::ssl_mode::disabled);
}

TEST_CASE("given users with passwords, when they log in, then right ones may, and no error repeats one", "[mysql-S6]") {
  NEEDS_SERVER();
  const auto native = my_name("native"), modern = my_name("ed25519");
  my_with(my_root(), [&](my::connection& root) -> asio::awaitable<void> {
    co_await root.script("create user " + native + "@localhost identified by 'right-secret'");
    const auto plugin =
        co_await root.exec("select 1 from information_schema.plugins where plugin_name = 'ed25519' and plugin_status = 'ACTIVE'");
    if (plugin.size() == 0) co_await root.script("install soname 'auth_ed25519'");
    co_await root.script("create user " + modern + "@localhost identified via ed25519 using password('right-secret')");
  });
  for (const auto& user : {native, modern}) {
    my::options how(my_server());
    how.database.clear();
    how.user = user;
    how.password = "right-secret";
    my_with(how, [](my::connection& c) -> asio::awaitable<void> { must(co_await c.one<int>("select 1") == 1, "logged in"); });
    how.password = "wrong-secret";
    const auto wrong = refused(how);
    INFO(wrong.what());
    CHECK(wrong.is(1045));
    CHECK(wrong.kind() == tidepool::failure_kind::permanent);
    CHECK(std::string(wrong.what()).find("secret") == std::string::npos);
    CHECK(how.summary().find("secret") == std::string::npos);
  }
  my_with(my_root(), [&](my::connection& root) -> asio::awaitable<void> {
    co_await root.script("drop user " + native + "@localhost; drop user " + modern + "@localhost");
  });
}

TEST_CASE("given a server that asks for the password as it is, when logging in, then it is not sent", "[mysql-S5]") {
  for (const char* plugin : {"mysql_clear_password", "dialog", "auth_gssapi_client"}) {
    asio::io_context context;
    my_fake_server server(context, my_greeting(false), {"\xfe" + std::string(plugin) + std::string(1, '\0'), my_ok});
    std::optional<my::connect_error> failed;
    auto work = [&]() -> asio::awaitable<void> {
      try {
        (void)co_await my::connection::connect(server.options());
      } catch (const my::connect_error& e) {
        failed = e;
      }
    };
    asio::co_spawn(context, work(), asio::detached);
    for (int i = 0; i < 500 && !failed; ++i) context.run_for(10ms);
    REQUIRE(failed);
    INFO(plugin << ": " << failed->what());
    CHECK(failed->kind() == tidepool::failure_kind::permanent);
    CHECK(server.received().find("very-secret") == std::string::npos);
  }
}

TEST_CASE("given a server that asks for a file of ours, when any statement runs, then it gets none", "[mysql-infile]") {
  asio::io_context context;
  my_fake_server server(context, my_greeting(false), {my_ok, "\xfb/etc/passwd", my_ok});
  std::optional<my::error> failed;
  auto work = [&]() -> asio::awaitable<void> {
    auto c = co_await my::connection::connect(server.options());
    const auto e = co_await error_of(c.script("select 1"));
    failed = e;
  };
  asio::co_spawn(context, work(), asio::detached);
  for (int i = 0; i < 2000 && !failed; ++i) context.run_for(10ms);
  REQUIRE(failed);
  INFO(failed->what());
  CHECK(server.received().find("root:") == std::string::npos);
  CHECK(server.received().find("select 1") != std::string::npos);
}
