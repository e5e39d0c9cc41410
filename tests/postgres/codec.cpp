// SPDX-License-Identifier: BSL-1.0
// tidepool - codecs, row types, error texts and options, without a server.
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/connect.hpp>
#include <tidepool/postgres/detail/connect_address.hpp>
#include <tidepool/postgres/detail/request.hpp>
#include <tidepool/postgres/detail/text.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

template <class T>
std::string encoded(const T& value) {
  std::string out;
  pg::codec<T>::encode(out, value);
  return out;
}
template <class T>
T decoded(std::string_view text) {
  return pg::codec<T>::decode(text);
}
template <class T>
T there_and_back(const T& value) {
  return decoded<T>(encoded(value));
}
template <class T>
pg::errc refusal(std::string_view text) {
  try {
    (void)decoded<T>(text);
  } catch (const pg::error& failure) {
    return failure.reason();
  }
  return {};
}
template <class F>
std::string complaint(F&& f) {
  try {
    f();
  } catch (const std::exception& failure) {
    return failure.what();
  }
  return "";
}

using stamp = std::chrono::sys_time<std::chrono::microseconds>;
using wall = std::chrono::local_time<std::chrono::microseconds>;

struct three {
  int a;
  std::optional<std::string> b;
  std::vector<int> c;
};
struct sixteen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
};

enum class mood { sad, happy };

}  // namespace

template <>
struct tidepool::postgres::codec<mood> : tidepool::postgres::enum_codec<mood> {
  static constexpr std::pair<mood, std::string_view> names[] = {{mood::sad, "sad"}, {mood::happy, "happy"}};
};

TEST_CASE("given integers, when they go through text, then they come back and bounds hold", "[postgres][codec]") {
  CHECK(there_and_back(std::numeric_limits<std::int64_t>::min()) == std::numeric_limits<std::int64_t>::min());
  CHECK(there_and_back(std::numeric_limits<std::uint64_t>::max()) == std::numeric_limits<std::uint64_t>::max());
  CHECK(there_and_back(std::int16_t{-1}) == -1);
  CHECK(refusal<std::int16_t>("32768") == pg::errc::conversion);
  CHECK(refusal<std::uint8_t>("256") == pg::errc::conversion);
  CHECK(refusal<unsigned>("-1") == pg::errc::conversion);
  CHECK(refusal<int>("12x") == pg::errc::conversion);
  CHECK(refusal<int>("") == pg::errc::conversion);
  CHECK(refusal<int>("1.5") == pg::errc::conversion);
}

TEST_CASE("given floating-point numbers, when they go through text, then every bit survives", "[postgres][codec]") {
  for (const double value : {0.1, 1e300, -5e-324, 1.0 / 3.0, std::numeric_limits<double>::max(), 0.0})
    CHECK(there_and_back(value) == value);
  CHECK(std::signbit(there_and_back(-0.0)));
  CHECK(there_and_back(0.1F) == 0.1F);
  CHECK(std::isnan(decoded<double>("NaN")));
  CHECK(decoded<double>("-Infinity") == -std::numeric_limits<double>::infinity());
  CHECK(refusal<float>("1e200") == pg::errc::conversion);
  CHECK(decoded<double>("2.2e-310") == 2.2e-310);
  CHECK(decoded<long double>("-1.5e3") == -1500.0L);
  for (const char* text : {"one", "", "-", "--1", "+1", " 1", "1 ", "1x", "0x10", "1,5", "1e400", "-1e400", "1e-400"})
    CHECK(refusal<double>(text) == pg::errc::conversion);
}

TEST_CASE("given booleans, characters and enumerations, when decoded, then only their own words will do", "[postgres][codec]") {
  CHECK(decoded<bool>("t"));
  CHECK_FALSE(decoded<bool>("f"));
  CHECK(refusal<bool>("true") == pg::errc::conversion);
  CHECK(decoded<char>("x") == 'x');
  CHECK(refusal<char>("xy") == pg::errc::conversion);
  CHECK(decoded<mood>("happy") == mood::happy);
  CHECK(encoded(mood::sad) == "sad");
  CHECK(refusal<mood>("angry") == pg::errc::conversion);
  CHECK_THROWS_AS(encoded(static_cast<mood>(9)), pg::error);
}

TEST_CASE("given bytea, when decoded, then both output forms are understood", "[postgres][codec]") {
  using bytes = std::vector<std::byte>;
  const bytes all{std::byte{0}, std::byte{0x5c}, std::byte{0xff}, std::byte{'a'}};
  CHECK(decoded<bytes>("\\x005cff61") == all);
  CHECK(decoded<bytes>("\\000\\\\\\377a") == all);
  CHECK(refusal<bytes>("\\x0") == pg::errc::conversion);
  CHECK(refusal<bytes>("\\x0g") == pg::errc::conversion);
  CHECK(refusal<bytes>("\\40") == pg::errc::conversion);
  CHECK(refusal<bytes>("\\777") == pg::errc::conversion);
}

TEST_CASE("given uuids, when decoded, then 32 digits are needed", "[postgres][codec]") {
  const std::string text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  CHECK(encoded(decoded<pg::uuid>(text)) == text);
  CHECK(refusal<pg::uuid>("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1") == pg::errc::conversion);
  CHECK(refusal<pg::uuid>(text + "00") == pg::errc::conversion);
  CHECK(refusal<pg::uuid>("z0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11") == pg::errc::conversion);
}

TEST_CASE("given arrays, when they go through text, then quotes, NULLs, bounds and dimensions survive", "[postgres][codec]") {
  using words = std::vector<std::string>;
  CHECK(there_and_back(words{"", "NULL", "a,b", "{}", "quo\"te", "back\\slash", " "}) ==
        words{"", "NULL", "a,b", "{}", "quo\"te", "back\\slash", " "});
  CHECK(there_and_back(std::vector<int>{}).empty());
  CHECK(decoded<std::vector<int>>("{1,2,3}") == std::vector<int>{1, 2, 3});
  CHECK(decoded<std::vector<int>>("[0:1]={7,8}") == std::vector<int>{7, 8});
  CHECK(there_and_back(std::vector<bool>{true, false}) == std::vector<bool>{true, false});
  using maybe = std::vector<std::optional<int>>;
  CHECK(decoded<maybe>("{1,NULL,3}") == maybe{1, std::nullopt, 3});
  CHECK(encoded(maybe{1, std::nullopt}) == "{\"1\",NULL}");
  using table = std::vector<std::vector<int>>;
  CHECK(decoded<table>("{{1,2},{3,4}}") == table{{1, 2}, {3, 4}});
  CHECK(encoded(table{{1}, {2}}) == "{{\"1\"},{\"2\"}}");
  CHECK(refusal<std::vector<int>>("{1,NULL}") == pg::errc::null_value);
  CHECK(refusal<std::vector<int>>("{{1}}") == pg::errc::conversion);
  for (const char* broken : {"", "{", "{1", "{1,", "{1}x", "[0:1]", "{\"1}"})
    CHECK(refusal<std::vector<int>>(broken) == pg::errc::conversion);
}

TEST_CASE("given timestamps, when they go through text, then microseconds, zones, eras and infinity survive", "[postgres][codec]") {
  using namespace std::chrono;
  const stamp at = sys_days(year(2024) / 2 / 29) + 23h + 59min + 59s + microseconds(999999);
  CHECK(there_and_back(at) == at);
  CHECK(decoded<stamp>("2024-02-29 23:59:59.999999+00") == at);
  CHECK(decoded<stamp>("2024-03-01 01:59:59.999999+02") == at);
  CHECK(decoded<stamp>("2024-02-29 20:29:59.999999-03:30") == at);
  CHECK(decoded<stamp>("1900-01-01 00:19:32+00:19:32") == stamp(sys_days(year(1900) / 1 / 1)));
  CHECK(decoded<stamp>("2024-02-29 23:59:59.5+00") == stamp(sys_days(year(2024) / 2 / 29) + 23h + 59min + 59s + 500ms));
  const stamp caesar = sys_days(year(-43) / 3 / 15) + 12h;
  CHECK(encoded(caesar) == "0044-03-15 12:00:00.000000+00 BC");
  CHECK(there_and_back(caesar) == caesar);
  CHECK(there_and_back(stamp::max()) == stamp::max());
  CHECK(there_and_back(stamp::min()) == stamp::min());
  CHECK(there_and_back(stamp(microseconds(-1))) == stamp(microseconds(-1)));
  const wall local = local_days(year(1999) / 12 / 31) + 1s;
  CHECK(there_and_back(local) == local);
  CHECK(there_and_back(year(2000) / February / 29) == year(2000) / February / 29);
  for (const char* broken : {"", "2024-02-30 00:00:00+00", "2024-13-01 00:00:00+00", "29.02.2024 00:00:00+00", "2024-02-29",
                             "2024-02-29 1:00:00+00", "2024-02-29 00:00:00", "2024-02-29 00:00:00+00x"}) {
    CHECK(refusal<stamp>(broken) == pg::errc::conversion);
  }
  CHECK(refusal<year_month_day>("infinity") == pg::errc::conversion);
  CHECK(refusal<stamp>("294277-01-01 00:00:00+00") == pg::errc::conversion);
}

TEST_CASE("given row types, when their width is asked, then it is the number of members", "[postgres][codec]") {
  CHECK(tidepool::detail::row_width<three, pg::detail::codecs>() == 3);
  CHECK(tidepool::detail::row_width<sixteen, pg::detail::codecs>() == 16);
  CHECK(tidepool::detail::row_width<std::tuple<int, std::string>, pg::detail::codecs>() == 2);
  CHECK(tidepool::detail::row_width<pg::uuid, pg::detail::codecs>() == 1);
  CHECK(tidepool::detail::row_width<std::optional<int>, pg::detail::codecs>() == 1);
  sixteen all{};
  std::get<15>(tidepool::detail::tie_members(all)) = 7;
  CHECK(all.p == 7);
}

TEST_CASE("given text of a server, when it is made fit for a log, then it is one short line", "[postgres][error]") {
  CHECK(pg::detail::printable("two\nlines\x1b[31m", 100) == "two lines\\x1b[31m");
  CHECK(pg::detail::printable("caf\xc3\xa9", 100) == "caf\xc3\xa9");
  CHECK(pg::detail::printable("c1\xc2\x9b", 100) == "c1\\x9b");
  CHECK(pg::detail::printable(std::string(1000, 'x'), 10) == "xxxxxxxxxx...");
  CHECK(pg::detail::printable("12345678\xc3\xa9", 9) == "12345678...");
  pg::detail::diagnosis said;
  said.severity = "ERROR";
  said.sqlstate = "XX000";
  said.message = std::string(5000, 'm') + "\n";
  const pg::error failure(pg::errc::server, "", said);
  CHECK(std::string(failure.what()).size() < 700);
  CHECK(std::string(failure.what()).find('\n') == std::string::npos);
}

TEST_CASE("given SQLSTATEs, when an error is classified, then connection loss, retry and kind follow",
          "[postgres][error][field-R07][field-F10]") {
  const auto made = [](std::string state, std::string severity) {
    pg::detail::diagnosis said;
    said.sqlstate = std::move(state);
    said.severity = std::move(severity);
    said.message = "m";
    return said;
  };
  CHECK(pg::error(pg::errc::server, "", made("40001", "ERROR")).retryable());
  CHECK(pg::error(pg::errc::server, "", made("40P01", "ERROR")).retryable());
  CHECK_FALSE(pg::error(pg::errc::server, "", made("23505", "ERROR")).retryable());
  CHECK_FALSE(pg::error(pg::errc::server, "", made("23505", "ERROR")).connection_lost());
  CHECK(pg::error(pg::errc::server, "", made("57P01", "FATAL")).connection_lost());
  CHECK_FALSE(pg::error(pg::errc::server, "", made("08001", "ERROR")).connection_lost());  // postgres_fdw's
  CHECK(pg::error(pg::errc::server, "", made("08P01", "FATAL")).connection_lost());
  CHECK_FALSE(pg::error(pg::errc::connection_lost, "", made("57P01", "FATAL")).retryable());
  // A standby ends sessions that are in the way of recovery with it.
  CHECK_FALSE(pg::error(pg::errc::server, "", made("40001", "FATAL")).retryable());
  CHECK_FALSE(pg::error(pg::errc::connection_lost, "", made("40001", "ERROR")).retryable());
  using pg::consequence;
  CHECK(pg::error(pg::errc::server, "", made("23505", "ERROR")).consequence() == consequence::none);
  CHECK(pg::error(pg::errc::server, "", made("57014", "ERROR")).consequence() == consequence::none);
  CHECK(pg::error(pg::errc::server, "", made("57P05", "FATAL")).consequence() == consequence::connection);
  CHECK(pg::error(pg::errc::connection_lost, "").consequence() == consequence::connection);
  CHECK(pg::error(pg::errc::server, "", made("57P01", "FATAL")).consequence() == consequence::all_suspect);
  CHECK(pg::error(pg::errc::server, "", made("25006", "ERROR")).consequence() == consequence::all_suspect);
  CHECK(pg::error(pg::errc::server, "", made("53300", "FATAL")).consequence() == consequence::server_full);
  CHECK(pg::error(pg::errc::server, "", made("28P01", "FATAL")).consequence() == consequence::permanent);
  CHECK(pg::error(pg::errc::connect_failed, "", made("28P01", "")).consequence() == consequence::permanent);
  // Nothing that a RAISE, or a foreign server, can say.
  for (const char* state : {"57P01", "57P02", "57P03", "53300", "53400", "28000", "28P01", "3D000"}) {
    CHECK(pg::error(pg::errc::server, "", made(state, "ERROR")).consequence() == consequence::none);
    CHECK(pg::error(pg::errc::connection_lost, "", made(state, "ERROR")).consequence() == consequence::connection);
  }
  const auto raised_by = [&made](std::string state, std::string severity, std::string routine) {
    auto said = made(std::move(state), std::move(severity));
    said.routine = std::move(routine);
    return pg::error(pg::errc::server, "", said).consequence();
  };
  CHECK(raised_by("25006", "ERROR", "PreventCommandIfReadOnly") == consequence::all_suspect);
  CHECK(raised_by("25006", "ERROR", "PreventCommandDuringRecovery") == consequence::all_suspect);
  CHECK(raised_by("25006", "ERROR", "exec_stmt_raise") == consequence::none);
  CHECK(raised_by("57P02", "WARNING", "quickdie") == consequence::all_suspect);
  CHECK(raised_by("57P02", "WARNING", "exec_stmt_raise") == consequence::none);
  using tidepool::failure_kind;
  CHECK(pg::connect_error(pg::errc::connect_failed, "", made("28P01", "FATAL")).kind() == failure_kind::permanent);
  CHECK(pg::connect_error(pg::errc::connect_failed, "", made("3D000", "FATAL")).kind() == failure_kind::permanent);
  CHECK(pg::connect_error(pg::errc::connect_failed, "", made("53300", "FATAL")).kind() == failure_kind::server_full);
  for (const char* state : {"57P01", "57P02", "57P03"}) {  // it goes down, by a crash too, or comes up
    CHECK(pg::connect_error(pg::errc::connect_failed, "", made(state, "FATAL")).kind() == failure_kind::starting);
  }
  CHECK(pg::connect_error(pg::errc::connect_timeout, "").kind() == failure_kind::transient);
  CHECK(tidepool::error_code(pg::errc::connect_timeout) == std::errc::timed_out);
  CHECK(tidepool::error_code(pg::errc::outcome_unknown) == std::errc::connection_reset);
}

TEST_CASE("given connection strings, when parsed, then lists, defaults and the environment are put together", "[postgres][options]") {
  const pg::options both("host=a,b port=1,2 dbname=shop user=app target_session_attrs=read-write load_balance_hosts=random");
  const auto servers = both.endpoints();
  REQUIRE(servers.size() == 2);
  CHECK(servers[0].host == "a");
  CHECK(servers[1].port == "2");
  CHECK(both.target() == pg::session_attrs::read_write);
  CHECK(both.load_balance());
  CHECK(both.get("dbname") == "shop");
  CHECK(both.get("client_encoding") == "UTF8");
  CHECK(both.get("gssencmode") == "disable");
  const pg::options uri("postgresql://app@h1:5,h2:6/shop?load_balance_hosts=random&application_name=x");
  CHECK(uri.endpoints().size() == 2);
  CHECK(uri.load_balance());
  CHECK(uri.get("application_name") == "x");
  CHECK(pg::options("host=h").address_timeout == 5s);
  CHECK(pg::options("host=h connect_timeout=7").address_timeout == 7s);
  CHECK(pg::options("host=h connect_timeout=0").address_timeout == tidepool::no_limit);
  CHECK_THROWS_AS(pg::options("host=h connect_timeout=soon"), pg::error);
  CHECK(pg::options("host=/run/pg").endpoints()[0].local());
  CHECK_FALSE(pg::options("host=h").endpoints()[0].local());

  setenv("PGAPPNAME", "from_env", 1);
  CHECK(pg::options("host=h").get("application_name") == "from_env");
  CHECK(pg::options("host=h application_name=mine").get("application_name") == "mine");
  unsetenv("PGAPPNAME");
}

TEST_CASE("given options, when connect_timeout is set later, then the last setting counts, as in a string", "[postgres][options]") {
  pg::options made("host=h");
  made.set("connect_timeout", "3");
  CHECK(made.address_timeout == 3s);
  made.address_timeout = 1500ms;
  made.set("dbname", "shop");
  CHECK(made.address_timeout == 1500ms);
  CHECK_THROWS_AS(made.set("connect_timeout", "soon"), pg::error);
  CHECK(made.address_timeout == 1500ms);
  CHECK(made.get("connect_timeout") == "3");
  made.set("connect_timeout", "");
  CHECK(made.address_timeout == 5s);
}

TEST_CASE("given bad connection strings, when parsed, then the fault is named and no secret is repeated", "[postgres][options]") {
  for (const char* bad :
       {"host=a,b port=1,2,3", "host=a port=99999", "host=a port=x", "host=a,b hostaddr=1.2.3.4", "host=a target_session_attrs=some",
        "nonsense", "postgresql://u:tops3cret@[::1/x", "password=tops3cret nonsense=1", "password='tops3cret", "password=x tops3cret=1"}) {
    INFO(bad);
    const auto said = complaint([&] { pg::options made(bad); });
    CHECK_FALSE(said.empty());
    CHECK(said.find("tops3cret") == std::string::npos);
  }
  CHECK(complaint([] { pg::options made("host=h colour=red"); }).find("colour") != std::string::npos);
  CHECK(complaint([] { pg::options().set("colour", "red"); }).find("colour") != std::string::npos);
  const auto nul = complaint([] { pg::options().set("user", std::string_view("a\0b", 3)); });
  CHECK(nul.find("\"user\"") != std::string::npos);
  CHECK_FALSE(complaint([] { pg::options made(std::string_view("host=a\0b", 8)); }).empty());
  pg::options secret("host=h user=app password=tops3cret");
  CHECK(secret.get("password") == "***");
  CHECK(secret.summary().find("tops3cret") == std::string::npos);
  CHECK(secret.summary().find("user=app") != std::string::npos);
}

TEST_CASE("given a libpq message of a failed connect, when diagnosed, then the SQLSTATE is found", "[postgres][error]") {
  const auto said = pg::detail::diagnose_connect(
      "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  28P01: password authentication failed for user \"x\"\nLOCATION:  "
      "auth.c:1");
  CHECK(said.sqlstate == "28P01");
  CHECK(said.message == "password authentication failed for user \"x\"");
  CHECK(pg::detail::diagnose_connect("failed: Connection refused\n\tIs the server running?").sqlstate.empty());
  CHECK(pg::detail::redact("the pass-word is pass", "pass") == "the ***-word is ***");
}

TEST_CASE("given libpq older than what was compiled, when connecting, then that is refused for good", "[postgres][error]") {
  CHECK_NOTHROW(pg::detail::check_libpq(PQlibVersion()));
  try {
    pg::detail::check_libpq(130023);
    FAIL("libpq 13 will do");
  } catch (const pg::connect_error& failure) {
    CHECK(failure.kind() == tidepool::failure_kind::permanent);
    CHECK(std::string(failure.what()).find("libpq 13") != std::string::npos);
  }
}

TEST_CASE("given a parameter above 1 GB, when a request is made of it, then it is refused without being read", "[postgres]") {
  // Reading a byte of it would end the program.
  constexpr std::size_t size = (std::size_t(1) << 30) + 1;
  void* const reserved = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(reserved != MAP_FAILED);
  const std::string_view text(static_cast<const char*>(reserved), size);
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(reserved), size);
  const auto by = [](const auto& parameter) {
    return complaint([&] { (void)pg::detail::request::parameters("select $1, $2", 1, parameter); });
  };
  for (const auto& said : {by(text), by(std::optional(text)), by(bytes)}) {
    CHECK(said.find("parameter $2 is larger than 1 GB") != std::string::npos);
  }
  ::munmap(reserved, size);
}
