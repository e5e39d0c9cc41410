// SPDX-License-Identifier: BSL-1.0
// tidepool - every usual slip on the way to a connection, and exactly what the error says. Read aloud, each says what to do.
#include <functional>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/connect_address.hpp>

#include "fake_server.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Without what differs from run to run.
std::string without(std::string text, const std::string& part, const std::string& name) {
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + name.size())) text.replace(at, part.size(), name);
  return text;
}

struct written {
  const char* name;
  const char* conninfo;
  std::string says;
};

/// What differs from the table, each with the name of its row.
template <class Table, class Said>
std::string differences(const Table& table, const Said& said_by) {
  std::string out;
  for (const auto& row : table) {
    const std::string said = said_by(row);
    if (said != row.says) out += std::string("\n") + row.name + "\n  said:   " + said + "\n  wanted: " + row.says;
  }
  return out;
}

const std::vector<written> strings = {
    {"a letter changed", "host=db prot=5433",
     "postgres: connection string: unknown option \"prot\" at position 9 (libpq N knows no such one): did you mean \"port\"?"},
    {"a name of other libraries", "host=db database=shop",
     "postgres: connection string: unknown option \"database\" at position 9 (libpq N knows no such one): did you mean \"dbname\"?"},
    {"an option of no library", "host=db pool_max_conns=10",
     "postgres: connection string: unknown option \"pool_max_conns\" at position 9 (libpq N knows no such one)"},
    {"an empty variable", "host= dbname=shop",
     "postgres: connection string: \"host\" at position 1 has no value, and would take \"dbname=...\" for it: leave it out, or write '' "
     "for an empty value"},
    {"an empty password", "host=db password= dbname=shop",
     "postgres: connection string: \"password\" at position 9 has no value, and would take \"dbname=...\" for it: leave it out, or write "
     "'' for an empty value"},
    {"a name alone", "shop",
     "postgres: connection string: \"=\" is missing after \"shop\" at position 1; options are written like host=db dbname=shop, or as a "
     "URI like postgresql://app@db/shop"},
    {"an option without a value", "host=db user", "postgres: connection string: \"=\" is missing after \"user\" at position 9"},
    {"a quote that is not closed", "host='db dbname=shop",
     "postgres: connection string: the value of \"host\" at position 1 has no closing quote"},
    {"a password with a blank", "host=db password=top s3cret",
     "postgres: connection string: \"=\" is missing after the word at position 22; put a password that holds blanks between single quotes"},
    {"a URI of another database", "mysql://app:s3cret@db/shop",
     "postgres: connection string: \"=\" is missing after \"mysql\" at position 1; a URI has to begin with postgresql://"},
    {"a port that is none", "postgresql://app@db:54x2/shop",
     "postgres: port is not a number from 1 to 65535; in a URI, write \":\" \"/\" \"@\" within a password as %3A %2F %40"},
    {"a port that is too large", "host=db port=99999", "postgres: port is not a number from 1 to 65535"},
    {"an at sign in a password", "postgresql://app:s3@cret@db/shop",
     "postgres: host holds \"@\", which no name does: in a URI, a \"@\" within user or password is written %40"},
    {"a slash in a password", "postgresql://app:s3/cret@db/shop",
     "postgres: port is not a number from 1 to 65535; in a URI, write \":\" \"/\" \"@\" within a password as %3A %2F %40"},
    {"a per cent sign in a password", "postgresql://app:s3cr%et@db/shop",
     "postgres: connection string: \"%\" at position 22 must be followed by two hexadecimal digits; write %25 for \"%\" itself"},
    {"a parameter of a URI that is misspelt", "postgresql://db/shop?sslmod=require",
     "postgres: connection string: unknown option \"sslmod\" at position 22 (libpq N knows no such one): did you mean \"sslmode\"?"},
    {"a parameter of a URI without a value", "postgresql://db/shop?sslmode",
     "postgres: connection string: \"=\" is missing after the parameter \"sslmode\" at position 22"},
    {"lists of different lengths", "host=a,b port=1,2,3",
     "postgres: port names another number of servers than host: give one port, or one for each host"},
    {"a mode that is none", "host=db sslmode=on", "postgres: sslmode is none of disable, allow, prefer, require, verify-ca, verify-full"},
    {"a time with a unit", "host=db connect_timeout=5s", "postgres: connect_timeout is not a number of seconds, which has no unit"},
    {"a kind of server of another library", "host=db target_session_attrs=master",
     "postgres: target_session_attrs is none of any, read-write, read-only, primary, standby, prefer-standby"},
};

struct met {
  const char* name;
  std::function<std::string()> conninfo;
  std::string says;
};

const std::vector<met> server_slips = {
    {"no server there", [] { return std::string("host=127.0.0.1 port=1 dbname=shop"); },
     "postgres: 127.0.0.1:1: Connection refused; is the server running, and are host and port right?"},
    {"no such database", [] { return server() + " dbname=shpo"; },
     "postgres: 127.0.0.1:PORT: FATAL 3D000 database \"shpo\" does not exist"},
    {"no dbname", [] { return "host=127.0.0.1 sslmode=disable user=tidepool_trusted port=" + std::to_string(server_port()); },
     "postgres: 127.0.0.1:PORT: FATAL 3D000 database \"tidepool_trusted\" does not exist; no dbname was given, so it is the user's name: "
     "say dbname="},
    {"no such user", [] { return server() + " user=tidepool_nobody"; },
     "postgres: 127.0.0.1:PORT: FATAL 28000 role \"tidepool_nobody\" does not exist"},
    {"a wrong password", [] { return server() + " user=tidepool_slip password=s3cret"; },
     "postgres: 127.0.0.1:PORT: FATAL 28P01 password authentication failed for user \"tidepool_slip\""},
    {"no password", [] { return server() + " user=tidepool_slip passfile=/nonexistent"; },
     "postgres: 127.0.0.1:PORT: the server asks for a password, and none was given; say password=, set PGPASSWORD, or add a line to the "
     "password file (~/.pgpass)"},
};

std::string said_when_connecting(const std::string& conninfo) {
  std::string said = "no error";
  run([](std::string to, std::string& out) -> asio::awaitable<void> {
    try {
      (void)co_await pg::connection::connect(to);
    } catch (const pg::error& failure) {
      out = failure.what();
    }
  }(conninfo, said));
  return said;
}

}  // namespace

TEST_CASE("given usual slips in connection strings, when they are read, then each error says what to do", "[field-U4][field-U10]") {
  CHECK(differences(strings, [](const written& row) -> std::string {
          std::string said = "no error";
          try {
            pg::connector from(row.conninfo);
          } catch (const pg::error& failure) {
            said = failure.what();
          }
          must(said.find("cret") == std::string::npos, said);
          return without(said, "libpq " + std::to_string(PQlibVersion() / 10000), "libpq N");
        }) == "");
}

TEST_CASE("given usual slips about servers, when connecting, then each error says what to do", "[field-U4][field-U10]") {
  NEEDS_SERVER();
  run([]() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script(
        "drop role if exists tidepool_slip, tidepool_trusted; create role tidepool_trusted login; "
        "create role tidepool_slip login password 'right' in role needs_password");
  }());
  CHECK(differences(server_slips, [](const met& row) -> std::string {
          return without(said_when_connecting(row.conninfo()), std::to_string(server_port()), "PORT");
        }) == "");
  run([]() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("drop role tidepool_slip, tidepool_trusted");
  }());
}

TEST_CASE("given a remote server without TLS, when no sslmode was given, then the error says whose rule it is", "[field-U4][field-U10]") {
  fake_server plain([](const std::string&) { return "N"; });
  // 0.0.0.0 leads to this machine, and is no loopback address.
  const auto port = std::string(pg::options(plain.conninfo()).get("port"));
  const auto said = said_when_connecting("hostaddr=0.0.0.0 user=u dbname=d port=" + port);
  CHECK(without(said, port, "PORT") ==
        "postgres: 0.0.0.0:PORT: server does not support SSL, but SSL was required; no sslmode was given, and tidepool then requires TLS "
        "of a "
        "server on another machine: set up TLS there, or say sslmode=disable");
}

TEST_CASE("given a variable that is not set, when nothing answers, then the error says that no host was given", "[field-U4][field-N6]") {
  pg::options settings(std::getenv("TIDEPOOL_THIS_IS_NOT_SET"));
  settings.set("host", "");
  const auto login = run(pg::detail::login_parameters::make(std::make_shared<const pg::options>(settings), ""));
  CHECK(login.address_advice() ==
        "no host was given, so it is the local socket: is the variable that holds the connection string set? Or say host=, or set PGHOST");
}
