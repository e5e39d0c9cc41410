// SPDX-License-Identifier: BSL-1.0
// tidepool - what is committed without its synchronous standby, because somebody cancelled the wait, is not told as done.
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/multiplexer.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

namespace pg = tidepool::postgres;

/// What a write ended with.
struct write_result {
  std::string way;
  bool done = false;
  bool unknown = false;
  std::string words;
};

template <class Work>
tidepool::asio::awaitable<write_result> outcome_of(std::string way, Work work) {
  write_result out;
  out.way = std::move(way);
  try {
    auto writing = work();
    co_await std::move(writing);
    out.done = true;
  } catch (const pg::error& failure) {
    out.unknown = failure.outcome_unknown();
    out.words = failure.what();
  }
  co_return out;
}

using nothing = tidepool::asio::awaitable<void>;

nothing insert(pg::pool& pool, std::string sql) {
  auto lease = co_await pool.acquire();
  (void)co_await lease->exec(sql);
}
nothing insert_with_parameter(pg::pool& pool, int number) {
  auto lease = co_await pool.acquire();
  const std::string sql = "insert into done values ($1)";
  (void)co_await lease->exec(sql, number);
}
nothing insert_within(pg::pool& pool) {
  auto lease = co_await pool.acquire();
  const std::string sql = "insert into done values (3)";
  (void)co_await lease->exec(pg::within(200ms), sql);
}
nothing insert_in_script(pg::pool& pool) {
  auto lease = co_await pool.acquire();
  const std::string sql = "insert into done values (4)";
  co_await lease->script(sql);
}
nothing insert_in_transaction(pg::pool& pool) {
  auto lease = co_await pool.acquire();
  auto body = [](pg::transaction& within) -> nothing {
    const std::string sql = "insert into done values (5)";
    (void)co_await within.exec(sql);
  };
  co_await lease->transaction(body);
}
nothing insert_in_pipeline(pg::pool& pool) {
  auto lease = co_await pool.acquire();
  auto batch = lease->pipeline(pg::pipeline_mode::independent);
  const std::string sql = "insert into done values (6)";
  (void)batch.exec(sql);
  co_await batch.run();
}
nothing insert_by_multiplexer(pg::multiplexer& mux) {
  const std::string sql = "insert into done values ($1)";
  (void)co_await mux.exec(sql, 7);
}

tidepool::asio::awaitable<std::vector<write_result>> every_way(pg::pool& pool) {
  std::vector<write_result> out;
  out.push_back(co_await outcome_of("exec", [&] { return insert(pool, "insert into done values (1)"); }));
  out.push_back(co_await outcome_of("exec with a parameter", [&] { return insert_with_parameter(pool, 2); }));
  out.push_back(co_await outcome_of("a limit for one statement", [&] { return insert_within(pool); }));
  out.push_back(co_await outcome_of("script", [&] { return insert_in_script(pool); }));
  out.push_back(co_await outcome_of("transaction", [&] { return insert_in_transaction(pool); }));
  out.push_back(co_await outcome_of("pipeline", [&] { return insert_in_pipeline(pool); }));
  pg::multiplexer mux(pool);
  out.push_back(co_await outcome_of("multiplexer", [&] { return insert_by_multiplexer(mux); }));
  co_await mux.close();
  co_return out;
}

/// Cancels whatever waits for the standby, as an operator does, or a program whose server is silent.
class impatient {
 public:
  explicit impatient(const server& at)
      : thread_([this, &at] {
          while (!stopped_) {
            (void)at.admin(
                "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep' and now() - query_start > '0.5 s'");
            wait_for(50ms);
          }
        }) {}
  impatient(const impatient&) = delete;
  impatient& operator=(const impatient&) = delete;
  ~impatient() {
    stopped_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("given a COMMIT that waits for a standby, when that is cancelled, then it is not told as done", "[faults][field-L3]") {
  NEEDS_OWN_SERVER();
  const server alone("not_replicated");
  alone.admin("create table done (number int)");
  alone.admin("grant all on done to public");
  alone.admin("alter system set synchronous_commit = on");
  alone.admin("alter system set synchronous_standby_names = 'nobody'");
  alone.admin("select pg_reload_conf()");
  for (int i = 0; i < 200 && alone.admin("show synchronous_standby_names")[0][0] != "nobody"; ++i) wait_for(20ms);
  std::vector<write_result> seen;
  {
    const impatient operators(alone);
    tidepool::asio::io_context io;
    tidepool::pool_config config;
    config.min_size = 1;
    config.max_size = 2;
    pg::pool pool(io, pg::connector(alone.conninfo()), config);
    auto work = [&](pg::pool& on) -> tidepool::asio::awaitable<void> { seen = co_await every_way(on); };
    tidepool::run(io, pool, work);
  }
  REQUIRE(seen.size() == 7);
  for (const auto& one : seen) {
    INFO(one.way << ": " << one.words);
    CHECK(!one.done);
    CHECK(one.unknown);
    if (one.way != "multiplexer") CHECK_THAT(one.words, tidepool_tests::has_text("synchronous standby"));
  }
  CHECK(alone.admin("select count(distinct number) from done")[0][0] == "7");
}
