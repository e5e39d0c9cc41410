// SPDX-License-Identifier: BSL-1.0
// tidepool - statements prepared by hand: the types of their parameters, and values of another one.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/session.hpp>

#include "fake_server.hpp"

using namespace tidepool_tests;

namespace {
struct raw_number {
  int value = 0;
};
}  // namespace

/// An int4 in binary form.
template <>
struct tidepool::postgres::codec<raw_number> {
  static constexpr Oid oid = 23;
  static constexpr bool binary = true;
  static void encode(std::string& out, const raw_number& given) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((given.value >> shift) & 0xFF);
  }
};

namespace {

using bytes = std::vector<std::byte>;

/// The error of a call that throws where it is made, before anything is awaited.
template <class Call>
std::optional<pg::error> refused_at_once(Call call) {
  try {
    (void)call();
  } catch (const pg::error& failure) {
    return failure;
  }
  return {};
}

}  // namespace

TEST_CASE("given a prepared statement, when a binary value is of another type, then nothing is sent", "[postgres][server][field-F6]") {
  NEEDS_SERVER();
  std::string said;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    const auto add = co_await c.prepare("select $1::int4, $2::text");
    must(add.types() == std::vector<Oid>{23, 25}, "its types");
    const bytes four(4, std::byte{1});
    const auto before = c.session()->requests_sent;
    const auto first = refused_at_once([&] { return c.exec(add, four, "x"); });
    const auto second = refused_at_once([&] { return c.exec(pg::within(1s), add, 1, std::optional<bytes>(four)); });
    const auto third = refused_at_once([&] { return c.one<int>(add, 1, raw_number{7}); });
    must(first && second && third, "taken");
    must(c.session()->requests_sent == before && c.usable() && !c.session()->busy, "something was sent");
    for (const auto* each : {&first, &second, &third}) must((*each)->reason() == pg::errc::bad_parameter, (*each)->what());
    said = std::string(first->what()) + "\n" + second->what() + "\n" + third->what();
    // Where it is said, it is taken.
    const auto told = co_await c.prepare("select length($1::bytea), $2::int4");
    const auto row = co_await c.exec(told, four, raw_number{7});
    must(row[0][0].as<int>() == 4 && row[0][1].as<int>() == 7, "the right types");
  };
  run(task());
  CHECK(said ==
        "postgres: parameter $1 is of type bytea, and the prepared statement takes int4 there: give it that, or prepare it with "
        "$1::bytea\n"
        "postgres: parameter $2 is of type bytea, and the prepared statement takes text there: give it that, or prepare it with "
        "$2::bytea\n"
        "postgres: parameter $2 is of type int4, and the prepared statement takes text there: give it that, or prepare it with "
        "$2::int4");
}

TEST_CASE("given a prepared statement, when values suit it in whatever form, then they are taken as without one",
          "[postgres][server][field-F6]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("create domain pg_temp.blob as bytea; create type pg_temp.mood as enum ('sad', 'happy')");
    // Text is parsed by the server as what it takes; NULL has no form.
    const auto many = co_await c.prepare("select $1::int8, $2::numeric, $3::pg_temp.mood, $4::jsonb, $5::timestamptz, $6::int4, $7::oid");
    const auto row = co_await c.exec(many, 7, 1.5, "sad", std::string("[1]"), std::chrono::sys_time<std::chrono::microseconds>(),
                                     std::optional<bytes>(), raw_number{26});
    must(row[0][0].as<long>() == 7 && row[0][2].text() == "sad" && row[0][5].is_null() && row[0][6].text() == "26", "values");
    // Of a type of users, an OID does not say what it is.
    const auto domain = co_await c.prepare("select octet_length($1::pg_temp.blob)");
    must(domain.types().size() == 1 && domain.types()[0] != 0, "a domain");
    const int length = co_await c.one<int>(domain, bytes(9));
    must(length == 9, "bytes into a domain over bytea");
    const auto none = co_await c.prepare("select 1");
    const int one = co_await c.one<int>(none);
    must(one == 1 && none.types().empty(), "no parameters");
    // A name that was not made by `prepare()`: its types are not known.
    co_await c.exec("prepare mine (bytea) as select octet_length($1)");
    const int by_name = co_await c.one<int>(pg::statement("mine"), bytes(3));
    must(by_name == 3, "by name");
  };
  run(task());
}

TEST_CASE("given a statement to prepare, when it is refused, then the error is told, the connection goes on", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const auto wrong = co_await error_of(c.prepare("select $1::nonsense"));
    must(wrong.is("42704") && c.usable(), "wrong");
    // What it says is not done before it is executed.
    for (const char* end : {"commit", "rollback", "create temp table t (i int)"}) {
      const auto made = co_await c.prepare(end);
      co_await c.exec(made);
    }
    const int none = co_await c.one<int>("select count(*)::int from t");
    must(none == 0, "executed");
    // Within a transaction, and within one that has failed.
    auto failing = [&](pg::transaction& t) -> asio::awaitable<void> {
      const auto one = co_await c.prepare("select 1");
      const int got = co_await t.one<int>(one);
      must(got == 1, "within");
      (void)co_await error_of(t.exec("select 1 / 0"));
      const auto late = co_await error_of(c.prepare("select 2"));
      must(late.is("25P02"), "in a failed transaction");
      throw std::out_of_range("leave");
    };
    bool left = false;
    try {
      co_await c.transaction(failing);
    } catch (const std::out_of_range&) {
      left = true;
    }
    must(left && c.usable(), "well");
  };
  run(task());
}

TEST_CASE("given a prepare, when its connection is lost or its time is over, then it is told as for statements", "[postgres]") {
  const auto failing = [](std::string answer) {
    const fake_server server([answer](const std::string& said) { return asks_for_login(said) ? welcome() : answer; }, true);
    auto task = [](std::string conninfo) -> asio::awaitable<std::string> {
      auto c = co_await pg::connection::connect(conninfo);
      const auto failure = co_await error_of(c.prepare(pg::within(50ms), "select 1"));
      must(c.after_lease() == tidepool::lease_end::broken, "the connection is not used again");
      co_return failure.reason() == pg::errc::connection_lost ? "lost"
      : failure.reason() == pg::errc::server_silent           ? "silent"
                                                              : failure.what();
    };
    return run(task(server.conninfo()));
  };
  CHECK(failing(hang_up) == "lost");
  CHECK(failing(protocol_message('1', "") + hang_up) == "lost");
  CHECK(failing(error_response("57P01", "terminating") + hang_up) == "lost");
  CHECK(failing("") == "silent");
}
