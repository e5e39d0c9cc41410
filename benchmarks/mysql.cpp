// SPDX-License-Identifier: BSL-1.0
// tidepool - MySQL: what the pool and the driver cost against the bare client library on the same loop, acquire and release with a reset,
// memory of a connection, and the stack that the library's fibre uses.
//
//   MYSQL_SOCKET=... MYSQL_PORT=... MYSQL_USER=... MYSQL_DATABASE=... bench_mysql [queries] [leases] [memory]
//
// All of it by default. The variables are what tests/support/mariadb_server.sh prints; the user has no password. $SECONDS_A_CASE: how long
// each case is measured, default 1. Needs glibc.
#include <malloc.h>
#include <mysql.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <tidepool/mysql.hpp>

#include "measure.hpp"

// --- the stack of the client library's fibre: a block of this size is filled, so that what was used can be seen afterwards ---------------
namespace {
constexpr std::size_t stack_bytes = (std::size_t{128} << 10U) + 48;  // nothing else is of this size
constexpr unsigned char untouched = 0xA5;
std::atomic<void*> last_stack{nullptr};
}  // namespace
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* malloc(std::size_t size) {
  void* const made = __libc_malloc(size);
  if (size == stack_bytes && made != nullptr) {
    std::memset(made, untouched, size);
    last_stack = made;
  }
  return made;
}

namespace {

namespace mysql = tidepool::mysql;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

double us(clock_type::duration span) { return std::chrono::duration<double, std::micro>(span).count(); }
std::string variable(const char* name) {
  const char* const said = std::getenv(name);
  return said == nullptr ? "" : said;
}
mysql::options server() {
  mysql::options how;
  how.socket = variable("MYSQL_SOCKET");
  how.user = variable("MYSQL_USER");
  how.database = variable("MYSQL_DATABASE");
  return how;
}
mysql::options by_tls() {
  mysql::options how = server();
  how.socket.clear();
  how.port = static_cast<unsigned>(std::stoul(variable("MYSQL_PORT")));
  how.ssl_mode = mysql::ssl_mode::required;
  return how;
}

void run(asio::io_context& io, asio::awaitable<void> work) {
  asio::co_spawn(io, std::move(work), [&io](std::exception_ptr failed) {
    if (failed) std::rethrow_exception(failed);
    io.stop();
  });
  io.restart();
  io.run();
}

/// One turn, by the clock and by the processor.
struct measured {
  double wall = 1e9, cpu = 1e9;
};
struct contender {
  const char* name;
  std::function<asio::awaitable<void>()> turn;
  measured best{};
};
/// They take turns, seven times; the best round of each counts, because a busy machine only adds. Differences are to the first.
asio::awaitable<void> compare(std::vector<contender>& all) {
  constexpr int rounds = 7;
  for (int round = 0; round < rounds; ++round) {
    for (auto& each : all) {
      for (int i = 0; i < 50; ++i) co_await each.turn();
      const auto begin = clock_type::now();
      const double cpu = cpu_us();
      long count = 0;
      while (clock_type::now() - begin < measured_for() / rounds) {
        for (int i = 0; i < 50; ++i, ++count) co_await each.turn();
      }
      each.best.wall = std::min(each.best.wall, us(clock_type::now() - begin) / static_cast<double>(count));
      each.best.cpu = std::min(each.best.cpu, (cpu_us() - cpu) / static_cast<double>(count));
    }
  }
  for (const auto& each : all) {
    std::printf("  %-46s %8.2f us %8.2f us cpu   %+6.2f us cpu\n", each.name, each.best.wall, each.best.cpu,
                each.best.cpu - all.front().best.cpu);
  }
}

/// The client library as its manual has it, on the same loop, and nothing else.
class bare {
  // Before its use, because of its type.
  auto ready(int status) {
    const auto what =
        (status & MYSQL_WAIT_WRITE) != 0 ? asio::posix::stream_descriptor::wait_write : asio::posix::stream_descriptor::wait_read;
    return wait_.async_wait(what, asio::use_awaitable);
  }

 public:
  bare(asio::io_context& io, const mysql::options& how) : wait_(io) {
    my_ = mysql_init(nullptr);
    std::size_t stack = stack_bytes;
    mysql_optionsv(my_, MYSQL_OPT_NONBLOCK, &stack);
    if (mysql_real_connect(my_, nullptr, how.user.c_str(), "", how.database.c_str(), 0, how.socket.c_str(), 0) == nullptr) {
      throw std::runtime_error(mysql_error(my_));
    }
    wait_.assign(::dup(static_cast<int>(mysql_get_socket(my_))));
  }
  ~bare() {
    if (statement_ != nullptr) mysql_stmt_close(statement_);
    mysql_close(my_);
  }
  void prepare(const char* sql) {
    if (statement_ != nullptr) mysql_stmt_close(statement_);
    statement_ = mysql_stmt_init(my_);
    mysql_stmt_prepare(statement_, sql, std::strlen(sql));
    in_ = MYSQL_BIND{};
    in_.buffer_type = MYSQL_TYPE_LONGLONG;
    in_.buffer = &id_;
    mysql_stmt_bind_param(statement_, &in_);
    out_ = MYSQL_BIND{};
    out_.buffer_type = MYSQL_TYPE_STRING;
    out_.buffer = text_.data();
    out_.buffer_length = text_.size();
    out_.length = &length_;
    mysql_stmt_bind_result(statement_, &out_);
  }
  asio::awaitable<void> query(std::int64_t id) {
    id_ = id;
    int failed = 0;
    for (int status = mysql_stmt_execute_start(&failed, statement_); status != 0;) {
      co_await ready(status);
      status = mysql_stmt_execute_cont(&failed, statement_, status);
    }
    for (int status = failed != 0 ? 0 : mysql_stmt_store_result_start(&failed, statement_); status != 0;) {
      co_await ready(status);
      status = mysql_stmt_store_result_cont(&failed, statement_, status);
    }
    if (failed != 0 || mysql_stmt_fetch(statement_) != 0) throw std::runtime_error(mysql_stmt_error(statement_));
    mysql_stmt_free_result(statement_);
  }

 private:
  MYSQL* my_ = nullptr;
  MYSQL_STMT* statement_ = nullptr;
  MYSQL_BIND in_{}, out_{};
  std::int64_t id_ = 0;
  std::array<char, 128> text_{};
  unsigned long length_ = 0;
  asio::posix::stream_descriptor wait_;
};

asio::awaitable<void> queries(asio::io_context& io) {
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 2;
  mysql::pool pool(io, mysql::connector(server()), config);
  {
    auto lease = co_await pool.acquire();
    co_await lease->script(
        "create table if not exists bench_points (id bigint primary key, name varchar(50)) engine = innodb;"
        "replace into bench_points select seq, concat('name ', seq) from seq_1_to_10000");
  }
  bare alone(io, server());
  for (const bool point : {false, true}) {
    const char* const sql = point ? "select name from bench_points where id = ?" : "select ?";
    alone.prepare(sql);
    std::int64_t id = 0;
    const auto plain = [&]() -> asio::awaitable<void> {
      id = id % 10000 + 1;
      co_await alone.query(id);
    };
    const auto pooled = [&]() -> asio::awaitable<void> {
      id = id % 10000 + 1;
      auto lease = co_await pool.acquire();
      const auto row = co_await lease->exec(sql, id);
      if (row.empty()) std::abort();
    };
    auto held = co_await pool.acquire();
    const auto driver = [&]() -> asio::awaitable<void> {
      id = id % 10000 + 1;
      const auto row = co_await held->exec(sql, id);
      if (row.empty()) std::abort();
    };
    std::printf("%s\n", point ? "point read" : "SELECT 1, as a parameter");
    std::vector<contender> all{{"bare client library, prepared, on the same loop", plain},
                               {"one connection: exec()", driver},
                               {"pool: acquire, exec(), release", pooled}};
    co_await compare(all);
  }
  co_await pool.close(5s);
}

asio::awaitable<void> leases(asio::io_context& io) {
  std::printf("acquire and release\n");
  std::vector<std::unique_ptr<mysql::pool>> pools;
  for (const auto level : {mysql::reset_level::none, mysql::reset_level::rollback, mysql::reset_level::full}) {
    mysql::options how = server();
    how.reset = level;
    tidepool::pool_config config;
    config.min_size = 0;
    config.max_size = 1;
    pools.push_back(std::make_unique<mysql::pool>(io, mysql::connector(how), config));
  }
  const auto used = [](mysql::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    (void)co_await lease->exec("select 1");
  };
  const auto open = [](mysql::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_await lease->script("start transaction");
  };
  const auto only = [](mysql::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_return;
  };
  std::vector<contender> all{{"reset none, one statement", [&] { return used(*pools[0]); }},
                             {"reset rollback, one statement", [&] { return used(*pools[1]); }},
                             {"reset rollback, START TRANSACTION left open", [&] { return open(*pools[1]); }},
                             {"reset full, one statement", [&] { return used(*pools[2]); }},
                             {"no statement", [&] { return only(*pools[0]); }}};
  co_await compare(all);
  for (auto& each : pools) co_await each->close(5s);
}

long resident_kb() {
  std::ifstream in("/proc/self/statm");
  long all = 0, resident = 0;
  in >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE) / 1024;
}
double stack_used_kb() {
  const auto* const from = static_cast<const unsigned char*>(last_stack.load());
  std::size_t free = 0;
  while (free < stack_bytes && from[free] == untouched) ++free;  // it grows downwards
  return static_cast<double>(stack_bytes - free) / 1024;
}
asio::awaitable<void> memory() {
  constexpr std::size_t count = 100;
  for (const char* way : {"local socket", "TLS, the system's authorities", "TLS, ssl_ca"}) {
    mysql::options how = way[0] == 'l' ? server() : by_tls();
    if (way[5] == 's') {
      how.ssl_mode = mysql::ssl_mode::verify_ca;
      how.ssl_ca = variable("MYSQL_SOCKET");
      how.ssl_ca.replace(how.ssl_ca.rfind('/'), std::string::npos, "/server.crt");
    }
    how.stack_bytes = stack_bytes;
    {
      auto first = co_await mysql::connection::connect(how);
      (void)co_await first.one<int>("select 1");
      std::printf("%s: %.1f kB of the fibre's stack used by login and a query, of %zu kB\n", way, stack_used_kb(), stack_bytes / 1024);
    }
    how.stack_bytes = std::size_t{128} << 10U;  // not filled
    std::vector<mysql::connection> all;
    all.reserve(count);
    const long before = resident_kb();
    const auto heap = ::mallinfo2().uordblks;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(co_await mysql::connection::connect(how));
      (void)co_await all.back().one<int>("select 1");
    }
    std::printf("  a connection: %.1f kB resident, %.1f kB of heap, after one statement\n",
                static_cast<double>(resident_kb() - before) / count, static_cast<double>(::mallinfo2().uordblks - heap) / 1024 / count);
    for (auto& each : all) co_await each.close();
  }
}

}  // namespace

int main(int argc, char** argv) try {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (variable("MYSQL_SOCKET").empty()) throw std::runtime_error("MYSQL_SOCKET is not set: see tests/support/mariadb_server.sh");
  const auto wanted = [&](const char* part) {
    return argc < 2 || std::any_of(argv + 1, argv + argc, [&](const char* a) { return std::string(a) == part; });
  };
  asio::io_context io{1};
  std::printf("MariaDB Connector/C %s\n", mysql_get_client_info());
  if (wanted("queries")) run(io, queries(io));
  if (wanted("leases")) run(io, leases(io));
  if (wanted("memory")) run(io, memory());
} catch (const std::exception& failure) {
  std::fprintf(stderr, "bench_mysql: %s\n", failure.what());
  return 1;
}
