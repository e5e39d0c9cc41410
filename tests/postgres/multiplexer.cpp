// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer on a real server.
#include <tidepool/postgres/multiplexer.hpp>

#include <algorithm>
#include <functional>
#include <vector>

#include "../support/on_end.hpp"
#include "fake_server.hpp"
#include "multiplexer_kit.hpp"

struct refused_parameter {};
template <>
struct tidepool::postgres::codec<refused_parameter> {
  static constexpr unsigned oid = 25;
  static constexpr bool binary = false;
  [[noreturn]] static void encode(std::string&, const refused_parameter&) { throw std::runtime_error("not today"); }
};

using namespace tidepool_tests;

namespace {

/// Runs `count` coroutines `body(i)` at once, and returns when all have ended.
asio::awaitable<void> all_of(std::size_t count, std::function<asio::awaitable<void>(std::size_t)> body) {
  const auto here = co_await asio::this_coro::executor;
  asio::steady_timer done(here);
  done.expires_at(asio::steady_timer::time_point::max());
  std::size_t left = count;
  std::exception_ptr first;
  for (std::size_t i = 0; i < count; ++i) {
    const on_end at_end = [&](std::exception_ptr failed) {
      if (failed && !first) first = failed;
      if (--left == 0) done.cancel();
    };
    asio::co_spawn(here, body(i), at_end);
  }
  tidepool::error_code ignored;
  if (left > 0) co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (first) std::rethrow_exception(first);
}

}  // namespace

TEST_CASE("given a multiplexer, when statements of all forms run, then each has its result") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
    co_await mux.exec("create table if not exists mux_forms (id int primary key, name text)");
    co_await mux.exec("truncate mux_forms");
    auto inserted = co_await mux.exec("insert into mux_forms values ($1, $2), (2, 'two')", 1, std::string("one"));
    must(inserted.affected() == 2, "inserted");
    auto one = co_await mux.one<std::string>("select name from mux_forms where id = $1", 1);
    must(one == "one", "one");
    auto none = co_await mux.read_opt<std::string>("select name from mux_forms where id = $1", 7);
    must(!none, "opt");
    auto all = co_await mux.read_all<int>("select id from mux_forms order by id");
    must(all == std::vector<int>{1, 2}, "all");
    auto read = co_await mux.read_one<std::string>(pg::within(5s), "select name from mux_forms where id = $1", 2);
    must(read == "two", "read");
    auto rows = co_await mux.read("select * from mux_forms");
    must(rows.size() == 2 && rows.columns() == 2, "read");
    co_await mux.exec("drop table mux_forms");
  });
}

TEST_CASE("given many callers, when they share few connections, then each answer belongs to its question") {
  NEEDS_SERVER();
  pg::multiplexer_options few;
  few.max_lanes = 3;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool& pool) -> asio::awaitable<void> {
        co_await all_of(200, [&](std::size_t i) -> asio::awaitable<void> {
          for (int k = 0; k < 20; ++k) {
            const int number = static_cast<int>(i) * 1000 + k;
            int said = 0;
            if (k % 3 == 0) {
              said = co_await mux.one<int>("select $1::int4", number);
            } else {
              said = co_await mux.read_one<int>("select $1::int4 + 0", number);
            }
            must(said == number, "an answer of somebody else");
          }
        });
        must(pool.stats().total_connections <= 3, "more connections than lanes");
      },
      few);
}

TEST_CASE("given a bad statement among good reads, when they share a Sync, then it alone fails") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
    co_await all_of(120, [&](std::size_t i) -> asio::awaitable<void> {
      for (int k = 0; k < 5; ++k) {
        if (i % 7 == 3) {
          auto failed = co_await error_of(mux.read_one<int>("select 1 / $1::int4", 0));
          must(failed.is("22012"), std::string("not divided by zero: ") + failed.what());
        } else if (i % 7 == 5) {
          auto failed = co_await error_of(mux.read("select nothing from nowhere"));
          must(failed.is("42P01") && failed.excerpt().find("nowhere") != std::string_view::npos, failed.what());
        } else {
          auto said = co_await mux.read_one<int>("select $1::int4", static_cast<int>(i));
          must(said == static_cast<int>(i), "an answer of somebody else");
        }
      }
    });
  });
}

TEST_CASE("given a write, when it is a read(), then it is refused; when an exec(), it is its own transaction") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
    co_await mux.exec("create table if not exists mux_own (id int primary key)");
    co_await mux.exec("truncate mux_own");
    auto refused = co_await error_of(mux.read("insert into mux_own values (1)"));
    must(refused.is("25006"), std::string("not refused: ") + refused.what());
    co_await all_of(50, [&](std::size_t i) -> asio::awaitable<void> {
      if (i % 5 == 0) {
        auto failed = co_await error_of(mux.exec("insert into mux_own values ($1), ($1)", static_cast<int>(i)));
        must(failed.is("23505"), failed.what());
      } else {
        co_await mux.exec("insert into mux_own values ($1)", static_cast<int>(i));
      }
    });
    auto count = co_await mux.read_one<int>("select count(*)::int4 from mux_own");
    must(count == 40, "a failed statement undid others: " + std::to_string(count));
    co_await mux.exec("drop table mux_own");
  });
}

TEST_CASE("given a read that makes its session writable, when a write follows as a read, then it is refused") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
    co_await mux.exec("create table if not exists mux_kept (id int)");
    co_await mux.read("select set_config('default_transaction_read_only', 'off', false)");
    bool refused = false;
    try {
      co_await mux.read("insert into mux_kept values (1)");
    } catch (const pg::error& e) {
      refused = e.is("25006");
    }
    must(refused, "it was written");
    must(mux.stats().lanes_lost == 1, mux.stats().to_json());
    co_await mux.exec("drop table mux_kept");
  });
}

TEST_CASE("given a constraint of the transaction's end, when a write breaks it, then its caller is told so") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
    co_await mux.exec("drop table if exists mux_late");
    co_await mux.exec("create table mux_late (id int unique deferrable initially deferred)");
    bool told = false;
    try {
      co_await mux.exec("insert into mux_late values (1), (1)");
    } catch (const pg::error& e) {
      told = e.is("23505");
    }
    must(told, "the violation");
    told = false;
    try {
      co_await mux.all<int>("insert into mux_late values (1), (1) returning id");
    } catch (const pg::error& e) {
      told = e.is("23505");
    }
    must(told, "the violation, where rows came before it");
    auto rows = co_await mux.read_one<int>("select count(*)::int4 from mux_late");
    must(rows == 0, "it is not there");
    co_await mux.exec("drop table mux_late");
  });
}

TEST_CASE("given a statement of a session, when it is asked for, then it is refused in words, and not sent") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool& pool) -> asio::awaitable<void> {
    for (const char* text :
         {"begin", "  /* a */ commit", "-- x\nset search_path = x", "listen a", "declare c cursor for select 1", "lock table t",
          "create temp table t (a int)", "create or replace temporary view v as select 1", "copy t to stdout", "prepare a as select 1",
          "execute a", "discard all", "select 1 into temp t", "", "savepoint a", "(select 1 into temp t)",
          "explain (analyze) create temp table t as select 1", "explain analyze verbose (select 1 into temp t)"}) {
      auto failed = co_await error_of(mux.exec(text));
      must(failed.reason() == pg::errc::bad_usage, text);
    }
    must(pool.stats().total_connections == 0, "something was sent");
    auto fine = co_await mux.one<int>("select 1 as begin");
    must(fine == 1, "begin");
    auto explained = co_await mux.read("explain (costs off) select 1");
    must(!explained.empty(), "explain");
  });
}

TEST_CASE("given a table that has changed, when a plan is stale, then it is prepared again, nobody hears of it") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool& pool) -> asio::awaitable<void> {
    co_await mux.exec("drop table if exists mux_stale");
    co_await mux.exec("create table mux_stale (a int)");
    co_await mux.exec("insert into mux_stale values (1)");
    for (int round = 0; round < 3; ++round) {
      auto before = co_await mux.read("select * from mux_stale");
      auto written = co_await mux.exec("update mux_stale set a = a + 1 returning *");
      must(before.columns() == static_cast<std::size_t>(round) + 1 && written.columns() == before.columns(), "columns");
      // Not through the multiplexer, which would notice.
      auto lease = co_await pool.acquire();
      co_await lease->exec("alter table mux_stale add column b" + std::to_string(round) + " int");
    }
    co_await mux.exec("drop table mux_stale");
  });
}

TEST_CASE("given more texts than are kept prepared, when used in turn, then all work, and nothing is left") {
  NEEDS_SERVER();
  pg::multiplexer_options few;
  few.max_statements = 3;
  few.max_lanes = 2;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool& pool) -> asio::awaitable<void> {
        for (int round = 0; round < 4; ++round) {
          for (int i = 0; i < 7; ++i) {
            auto said = co_await mux.read_one<int>("select $1::int4 + " + std::to_string(i), 10);
            must(said == 10 + i, "wrong");
            auto wrote = co_await mux.one<int>("select $1::int4 - " + std::to_string(i), 10);
            must(wrote == 10 - i, "wrong");
          }
        }
        auto held = co_await mux.read_one<int>("select count(*)::int4 from pg_prepared_statements");
        must(held <= 3, "kept " + std::to_string(held));
        co_await mux.close();
        std::vector<pg::pool::lease> leases;
        for (int i = 0; i < 2; ++i) {
          auto lease = co_await pool.acquire();
          auto left = co_await lease->one<int>("select count(*)::int4 from pg_prepared_statements");
          must(left == 0, "left " + std::to_string(left));
          auto writable = co_await lease->one<std::string>("show transaction_read_only");
          must(writable == "off", "read-only");
          leases.push_back(std::move(lease));  // the other one is next
        }
      },
      few);
}

TEST_CASE("given a failed read, when it shares a Sync with new texts, then those they replace are closed later") {
  NEEDS_SERVER();
  pg::multiplexer_options few;
  few.max_statements = 3;
  few.max_lanes = 1;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool& pool) -> asio::awaitable<void> {
        co_await mux.read("select 'first'");
        co_await mux.read("select 'second'");
        co_await mux.read("select 1 / $1::int4", 1);
        co_await all_of(3, [&](std::size_t i) -> asio::awaitable<void> {
          if (i == 0) {
            auto failed = co_await error_of(mux.read("select 1 / $1::int4", 0));
            must(failed.is("22012"), failed.what());
          } else {
            // In the place of the first and of the second, and skipped.
            co_await mux.read(i == 1 ? "select 'third'" : "select 'fourth'");
          }
        });
        must(mux.stats().requeued == 2, mux.stats().to_json());
        co_await mux.close();
        auto lease = co_await pool.acquire();
        auto left = co_await lease->one<int>("select count(*)::int4 from pg_prepared_statements");
        must(left == 0, "left " + std::to_string(left));
      },
      few);
}

TEST_CASE("given values that cannot be sent, read, or fit, then only their own caller hears of it") {
  NEEDS_SERVER();
  pg::multiplexer_options two;
  two.max_lanes = 2;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
        const std::string large(5U << 20U, 'x');
        co_await all_of(60, [&](std::size_t i) -> asio::awaitable<void> {
          const int number = static_cast<int>(i);
          bool thrown = false;
          if (i % 6 == 0) {
            try {
              co_await mux.read("select $1", refused_parameter{});
            } catch (const std::runtime_error& failed) {
              thrown = std::string_view(failed.what()) == "not today";
            }
            must(thrown, "the codec's own error");
          } else if (i % 6 == 1) {
            try {
              co_await mux.read(std::string("select 1\0", 9));
            } catch (const pg::error& failed) {
              thrown = failed.reason() == pg::errc::bad_parameter;
            }
            must(thrown, "a NUL in the statement");
          } else if (i % 6 == 2) {
            auto failed = co_await error_of(mux.read_one<int>("select 'text'"));
            must(failed.reason() == pg::errc::conversion, failed.what());
          } else if (i == 3 || i == 9) {
            // Five times `max_bytes`, there and back.
            auto said = co_await mux.read_one<std::string>("select $1::text", large);
            must(said == large, "the large one");
            auto size = co_await mux.one<int>("select length($1)", large);
            must(size == 5 << 20, "the large one, written");
          }
          auto said = co_await mux.read_one<int>("select $1::int4", number);
          must(said == number, "an answer of somebody else");
        });
        must(mux.stats().lanes_lost == 0, mux.stats().to_json());
      },
      two);
}

TEST_CASE("given a slow server, when a deadline passes, then a read is late, a write unknown, others answered") {
  NEEDS_SERVER();
  pg::multiplexer_options one;
  one.max_lanes = 2;
  one.give_up_after = hang;
  const auto slow = sleep_of(paced(700ms));
  with_multiplexer(
      [&](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
        while (mux.stats().read_lanes + mux.stats().write_lanes < 2) {
          co_await mux.exec("select 1");  // a lane of each kind
          co_await mux.read("select 1");
        }
        co_await all_of(6, [&](std::size_t i) -> asio::awaitable<void> {
          if (i == 0) {
            bool late = false;
            try {
              co_await mux.read(pg::within(paced(200ms)), slow);
            } catch (const pg::multiplexer_error& failed) {
              late = failed.code() == tidepool::errc::timeout &&
                     std::string_view(failed.what()) == "multiplexer: the read was not answered in time";
            }
            must(late, "not late");
          } else if (i == 1) {
            auto failed = co_await error_of(mux.exec(pg::within(paced(200ms)), slow));
            must(failed.outcome_unknown(), "known");
          } else {
            auto said = co_await mux.one<int>("select $1::int4", static_cast<int>(i));
            must(said == static_cast<int>(i), "wrong");
            said = co_await mux.read_one<int>("select $1::int4", static_cast<int>(i));
            must(said == static_cast<int>(i), "wrong");
          }
        });
      },
      one);
}

TEST_CASE("given terminated backends, when statements are in flight, then reads go elsewhere, writes are told") {
  NEEDS_SERVER();
  pg::multiplexer_options options;
  options.max_lanes = 4;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
        co_await mux.exec("drop table if exists mux_killed");
        co_await mux.exec("create table mux_killed (id int primary key)");
        std::vector<int> told(4000, -1);
        int unknown = 0, ended = 0;
        bool stop = false;
        const auto killer = [&]() -> asio::awaitable<void> {
          auto admin = co_await connect();
          int next = 200;
          while (!stop) {
            co_await pause(5ms);
            if (ended < next) continue;
            next = ended + 200;
            co_await admin.exec(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and application_name = "
                "'mux_killed' order by random() limit 1");
          }
          co_await admin.close();
        };
        bool killed = false;
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, killer(), on_end([&](std::exception_ptr) { killed = true; }));
        std::string others;
        co_await all_of(40, [&](std::size_t i) -> asio::awaitable<void> {
          for (int k = 0; k < 100; ++k) {
            const int id = static_cast<int>(i) * 100 + k;
            try {
              co_await mux.exec("insert into mux_killed values ($1)", id);
              told[static_cast<std::size_t>(id)] = 1;
            } catch (const pg::error& failed) {
              if (failed.outcome_unknown()) {
                ++unknown;
              } else {
                others += failed.what();
              }
            }
            try {
              auto said = co_await mux.read_one<int>("select $1::int4", id);
              if (said != id) others += "wrong answer";
            } catch (const std::exception& failed) {
              others += failed.what();
            }
            ended += 2;
          }
        });
        stop = true;
        while (!killed) co_await pause(5ms);
        auto there = co_await mux.read_all<int>("select id from mux_killed");
        std::vector<int> found(told.size(), 0);
        for (const int id : there) found[static_cast<std::size_t>(id)] = 1;
        for (std::size_t i = 0; i < told.size(); ++i) must(told[i] != 1 || found[i] == 1, "told as done, and it was not");
        co_await mux.exec("drop table mux_killed");
        must(others.empty(), others);
        const auto seen = mux.stats();
        must(seen.lanes_lost > 3 && seen.outcome_unknown == static_cast<std::uint64_t>(unknown), seen.to_json());
        must(unknown < 1000, "nearly all unknown");
      },
      options, 8, patient("application_name=mux_killed"));
}

TEST_CASE("given any completion token, when a statement is asked for, then it gets the result or the exception") {
  NEEDS_SERVER();
  with_multiplexer([](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
    int called = 0;
    std::string failures;
    const auto note = [&](std::exception_ptr failed, pg::result got) {
      ++called;
      if (!failed && got.one<int>() != 7) failures += "wrong;";
      if (!failed) return;
      try {
        std::rethrow_exception(failed);
      } catch (const std::exception& e) {
        failures += e.what();
      }
    };
    mux.async_exec(note, "select $1::int4", 7);
    mux.async_read(note, pg::within(5s), "select $1::int4", 7);
    mux.async_read(note, "begin");
    auto token = asio::use_awaitable;
    auto got = co_await mux.async_read(token, "select 7");
    must(got.one<int>() == 7, "use_awaitable");
    for (int i = 0; i < 200 && called < 3; ++i) co_await pause(5ms);
    must(called == 3, "called " + std::to_string(called));
    must(failures.find("controls a transaction") != std::string::npos && failures.find("wrong") == std::string::npos, failures);
  });
}

TEST_CASE("given a caller that is cancelled, when its statement waits or runs, then its neighbours are served") {
  NEEDS_SERVER();
  pg::multiplexer_options one;
  one.max_lanes = 1;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
        const auto here = co_await asio::this_coro::executor;
        asio::cancellation_signal signals[10];
        int ended = 0, cancelled = 0;
        for (auto& signal : signals) {
          const on_end_of<pg::result> at_end = [&](std::exception_ptr e, pg::result) {
            ++ended;
            if (!e) return;
            try {
              std::rethrow_exception(e);
            } catch (const tidepool::system_error& failed) {
              cancelled += failed.code() == asio::error::make_error_code(asio::error::operation_aborted);
            }
          };
          asio::co_spawn(here, mux.exec("select pg_sleep(0.05)"), asio::bind_cancellation_slot(signal.slot(), at_end));
        }
        co_await pause(20ms);
        for (std::size_t i = 0; i < 10; i += 2) signals[i].emit(asio::cancellation_type::terminal);
        auto said = co_await mux.one<int>("select 5");
        must(said == 5, "wrong");
        for (int i = 0; i < 200 && ended < 10; ++i) co_await pause(10ms);
        must(ended == 10 && cancelled == 5, std::to_string(ended) + " " + std::to_string(cancelled));
      },
      one);
}

TEST_CASE("given a pool that recycles or has waiting callers, then lanes go back, drained, and nothing fails") {
  NEEDS_SERVER();
  pg::multiplexer_options options;
  options.max_lanes = 4;
  options.stall_after = 10ms;
  with_multiplexer(
      [](pg::multiplexer& mux, pg::pool& pool) -> asio::awaitable<void> {
        bool stop = false;
        const auto meddle = [&]() -> asio::awaitable<void> {
          for (int i = 0; i < 8; ++i) {
            co_await pause(15ms);
            if (i % 2 == 0) pool.recycle();
            auto lease = co_await pool.acquire(50s);
            co_await lease->exec("select 1");
          }
          stop = true;
        };
        asio::co_spawn(co_await asio::this_coro::executor, meddle(), asio::detached);
        int served = 0;
        co_await all_of(20, [&](std::size_t i) -> asio::awaitable<void> {
          while (!stop) {
            auto said = co_await mux.read_one<int>("select $1::int4", static_cast<int>(i));
            must(said == static_cast<int>(i), "wrong");
            co_await mux.exec("select 1");
            ++served;
          }
        });
        const auto seen = mux.stats();
        must(served > 20 && seen.lanes_released >= 4, seen.to_json());
        must(seen.failed + seen.outcome_unknown + seen.lost == 0, seen.to_json());
      },
      options, 4);
}

TEST_CASE("given a lane whose time has come, for any reason, then it goes back, and nobody notices") {
  NEEDS_SERVER();
  enum class reason : std::uint8_t { idle, lane_lifetime, connection_lifetime, suspended, resized, role, closed };
  const auto why = GENERATE(reason::idle, reason::lane_lifetime, reason::connection_lifetime, reason::suspended, reason::resized,
                            reason::role, reason::closed);
  pg::multiplexer_options options;
  options.max_lanes = 2;
  options.lane_idle = why == reason::idle ? 30ms : 60'000ms;
  options.lane_lifetime = why == reason::lane_lifetime ? 30ms : 60'000ms;
  auto config = sized(2);
  config.lifetime_jitter = 0;
  if (why == reason::connection_lifetime) config.idle_timeout = config.max_lifetime = 300ms;
  asio::io_context io(1);
  pg::pool pool(io, pg::connector(patient("target_session_attrs=read-write")), config);
  pg::multiplexer mux(pool, options);
  std::string wrong;
  bool stop = false;
  std::size_t left = 4;
  const auto caller = [&](int number) -> asio::awaitable<void> {
    while (!stop) {
      try {
        const auto said = co_await mux.read_one<int>("select $1::int4", number);
        const auto rows = co_await mux.exec("select $1::int4", number);
        if (said != number || rows.one<int>() != number) wrong += "an answer of somebody else; ";
      } catch (const tidepool::pool_error&) {
        if (why != reason::closed) throw;
        break;
      }
      if (why == reason::idle) break;
    }
  };
  const auto released = [&](std::size_t count) -> asio::awaitable<void> {
    for (int i = 0; i < 4000 && mux.stats().lanes_released < count; ++i) co_await pause(5ms);
    must(mux.stats().lanes_released >= count, mux.stats().to_json());
  };
  const auto act = [&]() -> asio::awaitable<void> {
    while (mux.stats().answered < 8) co_await pause(1ms);
    const auto before = mux.stats().lanes_released;
    if (why == reason::suspended) {
      pool.suspend();
      for (int i = 0; i < 4000 && pool.stats().active_connections > 0; ++i) co_await pause(5ms);
      must(pool.stats().active_connections == 0, "leased");
      pool.resume();
    } else if (why == reason::resized) {
      while (mux.stats().read_lanes + mux.stats().write_lanes < 2) co_await pause(1ms);
      pool.resize(0, 1);
      co_await released(before + 1);
    } else if (why == reason::role) {
      // A write that is refused may mean that this is no primary any more: the pool asks.
      auto failed = co_await error_of(mux.exec("do $$ begin set transaction read only; create table never (); end $$"));
      must(failed.is("25006"), failed.what());
      co_await released(before + 1);
    } else if (why == reason::closed) {
      co_await pool.close(20s);
      must(mux.stats().outcome_unknown + mux.stats().lost == 0, mux.stats().to_json());
    } else {
      co_await released(2);
    }
    const auto served = mux.stats().answered;
    for (int i = 0; i < 4000 && why != reason::idle && why != reason::closed && mux.stats().answered < served + 20; ++i) {
      co_await pause(5ms);
    }
    stop = true;
    for (int i = 0; i < 4000 && left > 0; ++i) co_await pause(5ms);
    co_await mux.close();
    co_await pool.close();
  };
  const on_end end = [&](std::exception_ptr failed) {
    try {
      if (failed) std::rethrow_exception(failed);
    } catch (const std::exception& e) {
      wrong += e.what();
    }
  };
  for (int i = 0; i < 4; ++i) {
    const on_end at_end = [&](std::exception_ptr failed) {
      --left;
      end(failed);
    };
    asio::co_spawn(io, caller(i), at_end);
  }
  asio::co_spawn(io, act(), end);
  io.run_for(hang);
  INFO("reason " << static_cast<int>(why));
  CHECK(wrong == "");
  CHECK(left == 0);
  CHECK(mux.stats().lanes_lost == 0);
}

TEST_CASE("given a slow statement, when it stalls its lane, then that is told once, and the numbers add up") {
  NEEDS_SERVER();
  pg::multiplexer_options options;
  options.max_lanes = 2;
  options.stall_after = paced(20ms);
  const auto sleep = sleep_of(paced(200ms));
  std::size_t stalls = 0, slept = 0;
  options.on_stall = [&](const pg::multiplexer_options::stall& s) {
    ++stalls;  // on a busy machine others may be late as well
    if (s.statement == sleep) ++slept;
  };
  with_multiplexer(
      [&](pg::multiplexer& mux, pg::pool&) -> asio::awaitable<void> {
        co_await all_of(10, [&](std::size_t i) -> asio::awaitable<void> {
          if (i == 3) {
            co_await mux.exec(sleep);
          } else {
            for (int k = 0; k < 5; ++k) co_await mux.exec("select 1");
          }
        });
        must(slept == 1, "stalls " + std::to_string(slept));
        const auto seen = mux.stats();
        must(seen.submitted == 46 && seen.answered == 46 && seen.sent == 46 && seen.stalls == stalls, seen.to_json());
        // Those that were sent behind it took as long.
        const auto slow = [&](const pg::statement_trace& t) { return t.statement == sleep && t.served >= 150ms && !t.read; };
        must(std::any_of(seen.slowest.begin(), seen.slowest.end(), slow), seen.to_json());
        must(seen.wait[0].count() == 46 && seen.service[0].quantile(1) >= 150ms, seen.to_json());
        must(pg::to_prometheus(seen).find("db_multiplexer_stalls_total{multiplexer=\"default\"} " + std::to_string(stalls) + "\n") !=
                 std::string::npos,
             "prometheus");
        must(seen.to_json().find("\"answered_total\":46") != std::string::npos, seen.to_json());
      },
      options);
}

TEST_CASE("given wrong options, when a multiplexer is made, then the error names each") {
  pg::multiplexer_options wrong;
  wrong.max_lanes = 0;
  wrong.timeout = -1s;
  CHECK(wrong.faults() == "max_lanes has to be above zero; timeout has to be above zero");
  asio::io_context io;
  pg::pool pool(io, pg::connector(pg::options("host=nowhere")));
  CHECK_THROWS_WITH(pg::multiplexer(pool, wrong), has_text("max_lanes has to be above zero"));
}

TEST_CASE("given a pool that is destroyed first, then what was sent is answered, and the rest is told so") {
  NEEDS_SERVER();
  asio::io_context io(1);
  auto pool = std::make_unique<pg::pool>(io, pg::connector(patient()), sized(2));
  pg::multiplexer_options options;
  options.max_lanes = 2;
  pg::multiplexer mux(*pool, options);
  int sent = 0, refused = 0, told = 0;
  const auto task = [&]() -> asio::awaitable<void> {
    co_await mux.exec("select 1");
    for (int i = 0; i < 5; ++i) {
      mux.async_exec([&](std::exception_ptr failed, pg::result) { sent += !failed; }, "select pg_sleep(0.05)");
    }
    co_await pause(20ms);
    pool.reset();
    for (int i = 0; i < 2000 && (mux.stats().write_lanes > 0 || sent < 5); ++i) co_await pause(5ms);
    for (int i = 0; i < 3; ++i) {
      mux.async_read(
          [&](std::exception_ptr failed, pg::result) {
            ++told;
            try {
              if (failed) std::rethrow_exception(failed);
            } catch (const tidepool::pool_error& e) {
              refused += e.code() == tidepool::errc::closed;
            } catch (const std::exception&) {
            }
          },
          "select 1");
    }
    for (int i = 0; i < 2000 && told < 3; ++i) co_await pause(5ms);
    co_await mux.close();
  };
  asio::co_spawn(io, task(), asio::detached);
  io.run_for(hang);
  CHECK(sent == 5);
  CHECK(refused == 3);
  CHECK(mux.stats().lanes_lost == 0);
}

TEST_CASE("given a handler that throws, when it is called, then run() throws that, and the others are served") {
  NEEDS_SERVER();
  asio::io_context io(1);
  pg::pool nowhere(io, pg::connector(pg::options("host=127.0.0.1 port=1")), tidepool::pool_config::development());
  pg::pool pool(io, pg::connector(patient()), sized(2));
  pg::multiplexer_options unhurried;  // no timer brings the next turn
  unhurried.stall_after = unhurried.lane_idle = 1h;
  unhurried.max_lanes = 1;
  pg::multiplexer mux(pool, unhurried), without(nowhere);
  const auto fail = [](std::exception_ptr, pg::result) { throw std::runtime_error("of a handler"); };
  int told = 0;
  const auto ask_again = [&](std::exception_ptr, pg::result) {
    mux.async_read([&](std::exception_ptr failed, pg::result) { told += !failed; }, "select 2");
  };
  int thrown = 0;
  const auto serve = [&](int wanted) {
    const stopwatch time;
    while (told + thrown < wanted && time.seconds() < 20) {
      try {
        io.restart();
        io.run_one_for(1s);
      } catch (const std::runtime_error& failed) {
        thrown += std::string_view(failed.what()) == "of a handler";
      }
    }
  };
  SECTION("in a turn that has sent something") {
    mux.async_read(ask_again, "select 1");
    mux.async_read(fail, "select 1");
    serve(2);
    CHECK(thrown == 1);
    CHECK(told == 1);
  }
  SECTION("because there is no connection") {
    without.async_read(fail, "select 1");
    serve(1);
    CHECK(thrown == 1);
  }
}

TEST_CASE("given a multiplexer, when it is destroyed or its context is, then nothing hangs or leaks") {
  NEEDS_SERVER();
  for (const bool context_first : {false, true}) {
    auto io = std::make_unique<asio::io_context>(1);
    auto pool = std::make_unique<pg::pool>(*io, pg::connector(patient()), sized(8));
    auto mux = std::make_unique<pg::multiplexer>(*pool);
    int answered = 0, failed = 0;
    for (int i = 0; i < 20; ++i) {
      asio::co_spawn(*io, mux->read_one<int>("select 1"), on_end_of<int>([&](std::exception_ptr e, int) { ++(e ? failed : answered); }));
      asio::co_spawn(*io, mux->exec("select pg_sleep(5)"),
                     on_end_of<pg::result>([&](std::exception_ptr e, pg::result) { ++(e ? failed : answered); }));
    }
    for (const stopwatch time; answered == 0 && time.seconds() < 20;) io->run_for(20ms);
    CHECK(answered > 0);
    if (context_first) {
      io.reset();
      mux.reset();
      pool.reset();
    } else {
      mux.reset();
      io->restart();
      io->run_for(300ms);
      CHECK(answered + failed == 40);
      pool.reset();
      io->run_for(1s);
    }
  }
}

TEST_CASE("given lanes being opened, when the context goes before the multiplexer, then they are not touched") {
  const fake_server silent([](const std::string&) { return ""; });
  auto io = std::make_unique<asio::io_context>(1);
  auto pool = std::make_unique<pg::pool>(*io, pg::connector(pg::options(silent.conninfo())), sized(2));
  auto mux = std::make_unique<pg::multiplexer>(*pool);
  bool ended = false;
  asio::co_spawn(*io, mux->read_one<int>("select 1"), on_end_of<int>([&](std::exception_ptr, int) { ended = true; }));
  for (const stopwatch time; mux->stats().opening_lanes == 0 && time.seconds() < 20;) io->run_for(1ms);
  CHECK_FALSE(ended);
  io.reset();
  mux.reset();
  pool.reset();
  CHECK_FALSE(ended);
}
