// SPDX-License-Identifier: BSL-1.0
// tidepool - tests the handlers of the example service without a database: the same code, the same type of pool, the real driver, and a
// server within this process that answers by a script.
#include <tidepool/testing/postgres.hpp>

#include <chrono>
#include <cstdio>
#include <string>

#include "service/on_postgres.hpp"

using namespace std::chrono_literals;
namespace postgres = tidepool::postgres;
namespace testing = tidepool::testing;

int failures = 0;
void check(bool holds, const char* what) {
  std::printf("%s  %s\n", holds ? "ok    " : "FAILED", what);
  failures += !holds;
}

// One request to the service, whose database is the script.
http::response ask(testing::fake_postgres& db, std::string method, std::string target) {
  asio::io_context io;
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 2;
  config.acquire_timeout = 500ms;
  config.retry_delay = 10ms;
  postgres::pool pool(io, db.connector(), config);
  bank service(pool);
  http::message request;
  request.method = std::move(method);
  request.target = std::move(target);
  return tidepool::run(io, pool, [&] { return service.answer(request); });
}

// What every script says in the same way.
constexpr const char* read_account = "select row_to_json(a)::text from accounts a where id = $1";
void expect_transfer(testing::fake_postgres& db, std::uint64_t booked = 1) {
  db.expect(testing::sql_prefix("select from accounts")).with(7, 8);
  db.expect(testing::sql_prefix("insert into transfers")).with("key", 7, 8, 100).affects(booked);
  if (booked == 0) return;
  db.expect("update accounts set balance = balance - $1 where id = $2").with(100, 7).affects(1);
  db.expect("update accounts set balance = balance + $1 where id = $2").with(100, 8).affects(1);
}

int main() {
  {
    testing::fake_postgres db;
    db.expect(read_account).with(7).returns({"row_to_json"}, {{R"({"id":7})"}});
    const auto found = ask(db, "GET", "/accounts/7");
    check(found.status == 200 && found.body == R"({"id":7})", "an account is read");
    db.expect(read_account).with(9).returns({"row_to_json"}, {});
    check(ask(db, "GET", "/accounts/9").status == 404, "an account that is not there is told as that");
    db.verify();
  }
  {
    testing::fake_postgres db;
    db.expect(read_account).loses_connection_before();
    db.expect(read_account).returns({{"{}"}});
    check(ask(db, "GET", "/accounts/7").status == 200, "a read whose connection is lost is repeated on another one");
    db.verify();
    check(db.asked().at(0).session != db.asked().at(1).session, "... on another one, indeed");
  }
  {
    testing::fake_postgres db;
    expect_transfer(db);
    check(ask(db, "PUT", "/transfers/key/7/8/100").body == R"({"done":"now"})", "a transfer is booked");
    check(db.asked().back().answer == "COMMIT", "... in a transaction that was committed");
    expect_transfer(db, 0);
    check(ask(db, "PUT", "/transfers/key/7/8/100").body == R"({"done":"before"})", "the same key again moves nothing");
    db.verify();
  }
  {
    testing::fake_postgres db;
    db.expect(testing::sql_prefix("select from accounts"));
    db.expect(testing::sql_prefix("insert into transfers")).affects(1);
    db.expect(testing::sql_regex("balance - ")).fails("23514", "new row violates check constraint").constraint("accounts_balance_check");
    check(ask(db, "PUT", "/transfers/key/7/8/100").status == 409, "without enough money a transfer is refused");
    check(db.asked().back().answer == "ROLLBACK", "... and rolled back");
    db.verify();
  }
  {
    testing::fake_postgres db;
    expect_transfer(db);
    db.expect("commit").fails("40001", "could not serialize access");
    expect_transfer(db);
    check(ask(db, "PUT", "/transfers/key/7/8/100").status == 200, "a transfer that met another one is done again");
    db.verify();
  }
  {
    testing::fake_postgres db;
    expect_transfer(db);
    db.expect("commit").loses_connection_after();
    check(ask(db, "PUT", "/transfers/key/7/8/100").status == 503, "when the answer to COMMIT is lost, the client is asked to come again");
    db.verify();
  }
  {
    testing::fake_postgres db;
    db.refuse_connects("53300", "sorry, too many clients already");
    check(ask(db, "GET", "/accounts/7").status == 503, "without a connection the answer is 503, soon");
  }
  return failures == 0 ? 0 : 1;
}
