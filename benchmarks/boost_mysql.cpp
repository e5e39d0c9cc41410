// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: a pool of Boost.MySQL's connections costs no more than Boost.MySQL's own pool of them.
//
//   boost_mysql [REVERSED]      prints "POOL/RETURN/CASE <TAB> metric <TAB> value"; MYSQL_SOCKET and MYSQL_USER as for
//   examples/boost_mysql.cpp
//
// All on one thread and one io_context, 8 connections each, of the same kind and to the same server; what is compared runs one after the
// other, in the opposite order where an argument is given. RETURN is `reset`: a session is reset after each lease, in one round trip that
// no caller waits for; or `kept`: it is not. $SECONDS_A_CASE: how long each is measured.
#include <tidepool/pool.hpp>

#include <boost/asio.hpp>
#include <boost/mysql.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "measure.hpp"

namespace {

namespace asio = boost::asio;
namespace mysql = boost::mysql;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr std::size_t connections = 8;

std::string variable(const char* name) {
  const char* found = std::getenv(name);
  return found ? found : "";
}

// --- ours: that of examples/boost_mysql.cpp, which is to be read, and copied, in one piece ----------------------------------------
class connection : public mysql::any_connection {
 public:
  using any_connection::any_connection;
  asio::awaitable<void> connect(const mysql::connect_params& to) { return checked(async_connect(to)); }
  asio::awaitable<void> execute(std::string_view sql, mysql::results& rows) { return checked(async_execute(sql, rows)); }
  asio::awaitable<void> ping() { return checked(async_ping()); }
  asio::awaitable<void> close() { return checked(async_close()); }
  asio::awaitable<void> reset() {
    mysql::pipeline_request both;
    both.add_reset_connection().add_set_character_set(mysql::utf8mb4_charset);
    std::vector<mysql::stage_response> answers;
    auto done = checked(async_run_pipeline(both, answers));
    co_await std::move(done);
  }
  bool usable() const noexcept { return !broken_; }

 private:
  template <class Operation>
  asio::awaitable<void> checked(Operation operation) try {
    broken_ = true;
    co_await std::move(operation);
    broken_ = false;
  } catch (const mysql::error_with_diagnostics& failure) {
    broken_ = mysql::is_fatal_error(failure.code());
    throw;
  }
  bool broken_ = true;
};
class kept_connection : public connection {
 public:
  using connection::connection;
  tidepool::lease_end after_lease() const noexcept { return usable() ? tidepool::lease_end::clean : tidepool::lease_end::broken; }
};

template <class Connection>
class ours {
 public:
  explicit ours(asio::io_context& io) : pool_(io, connector, config()) {}

  asio::awaitable<void> open() { return pool_.open(); }
  asio::awaitable<void> close() { return pool_.close(); }
  asio::awaitable<void> pairs(int count) {
    for (int i = 0; i < count; ++i) auto lease = co_await pool_.acquire();
  }
  asio::awaitable<void> query() {
    auto lease = co_await pool_.acquire();
    mysql::results rows;
    co_await lease->execute("SELECT 1", rows);
  }

 private:
  using pool = tidepool::basic_pool<Connection>;
  static tidepool::pool_config config() {
    tidepool::pool_config out;
    out.min_size = out.max_size = connections;
    return out;
  }
  static asio::awaitable<Connection> connector(typename pool::connect_context context) {
    mysql::connect_params to;
    to.server_address.emplace_unix_path(variable("MYSQL_SOCKET"));
    to.username = variable("MYSQL_USER");
    Connection made(context.executor());
    co_await made.connect(to);
    co_return made;
  }
  pool pool_;
};

// --- theirs ---------------------------------------------------------------------------------------------------------------------
template <bool Reset>
class theirs {
 public:
  explicit theirs(asio::io_context& io) : pool_(io, params()) { pool_.async_run(asio::detached); }

  /// Holds all at once, so that all are connected.
  asio::awaitable<void> open() {
    std::vector<mysql::pooled_connection> all;
    for (std::size_t i = 0; i < connections; ++i) {
      auto one = co_await pool_.async_get_connection();
      all.push_back(std::move(one));
    }
  }
  asio::awaitable<void> close() {
    pool_.cancel();
    co_return;
  }
  asio::awaitable<void> pairs(int count) {
    for (int i = 0; i < count; ++i) {
      auto held = co_await pool_.async_get_connection();
      if constexpr (!Reset) held.return_without_reset();
    }
  }
  asio::awaitable<void> query() {
    auto held = co_await pool_.async_get_connection();
    mysql::results rows;
    co_await held->async_execute("SELECT 1", rows);
    if constexpr (!Reset) held.return_without_reset();
  }

 private:
  static mysql::pool_params params() {
    mysql::pool_params out;
    out.server_address.emplace_unix_path(variable("MYSQL_SOCKET"));
    out.username = variable("MYSQL_USER");
    out.initial_size = out.max_size = connections;
    return out;
  }
  mysql::connection_pool pool_;
};

// --- measuring ------------------------------------------------------------------------------------------------------------------
void rethrow(std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);
}
/// To the end of what was started, while the pools go on waiting for whatever they wait for.
void until(asio::io_context& io, const bool& done) {
  while (!done) io.run_one();
}
template <class Work>
void wait_for(asio::io_context& io, Work work) {
  bool done = false;
  asio::co_spawn(io, std::move(work), [&](std::exception_ptr failed) {
    rethrow(failed);
    done = true;
  });
  until(io, done);
}

struct tally {
  steady::time_point warm = steady::now() + measured_for() / 4;
  steady::time_point end = warm + measured_for();
  steady::time_point begun{};
  double cpu_begun = 0;
  double counted = 0;
  bool more(int done) {
    const auto now = steady::now();
    if (now >= end) return false;
    if (begun != steady::time_point()) {
      counted += done;
    } else if (now >= warm) {
      begun = now;
      cpu_begun = cpu_us();
    }
    return true;
  }
};

constexpr int at_once = 64;  // a look at the clock costs about as much as a pair
template <class Pool>
asio::awaitable<void> take_pairs(Pool& pool, tally& seen) {
  while (seen.more(at_once)) co_await pool.pairs(at_once);
}
template <class Pool>
asio::awaitable<void> ask(Pool& pool, tally& seen) {
  while (seen.more(1)) co_await pool.query();
}
template <class Pool>
void measure(asio::io_context& io, Pool& pool, const std::string& name, int callers, bool queries) {
  tally seen;
  int left = callers;
  bool done = false;
  for (int i = 0; i < callers; ++i) {
    asio::co_spawn(io, queries ? ask(pool, seen) : take_pairs(pool, seen), [&](std::exception_ptr failed) {
      rethrow(failed);
      done = --left == 0;
    });
  }
  until(io, done);
  const double cpu = cpu_us() - seen.cpu_begun;
  const double seconds = std::chrono::duration<double>(steady::now() - seen.begun).count();
  const std::string label = name + (queries ? "/select1/" : "/pair/") + std::to_string(callers);
  std::printf("%s\tper_second\t%.0f\n%s\tcpu_us\t%.4f\n", label.c_str(), seen.counted / seconds, label.c_str(), cpu / seen.counted);
}

}  // namespace

int main(int argc, char**) try {
  asio::io_context io(1);
  ours<connection> our_reset(io);
  ours<kept_connection> our_kept(io);
  theirs<true> their_reset(io);
  theirs<false> their_kept(io);
  wait_for(io, our_reset.open());
  wait_for(io, our_kept.open());
  wait_for(io, their_reset.open());
  wait_for(io, their_kept.open());
  const auto both = [&](auto& mine, auto& other, const std::string& end, int callers, bool queries) {
    if (argc > 1) measure(io, other, "boost" + end, callers, queries);
    measure(io, mine, "tidepool" + end, callers, queries);
    if (argc <= 1) measure(io, other, "boost" + end, callers, queries);
  };
  both(our_kept, their_kept, "/kept", 1, false);
  both(our_reset, their_reset, "/reset", 1, false);
  for (const int callers : {1, 8, 64}) {
    both(our_kept, their_kept, "/kept", callers, true);
    both(our_reset, their_reset, "/reset", callers, true);
  }
  wait_for(io, our_reset.close());
  wait_for(io, our_kept.close());
  wait_for(io, their_reset.close());
  wait_for(io, their_kept.close());
  io.run_for(5s);
} catch (const std::exception& failure) {
  std::fprintf(stderr, "boost_mysql: %s\n", failure.what());
  return 1;
}
