// SPDX-License-Identifier: BSL-1.0
// tidepool - what the SQLite tests share: a folder of their own, running a coroutine, catching its error.
#ifndef TIDEPOOL_TESTS_SQLITE_KIT_HPP
#define TIDEPOOL_TESTS_SQLITE_KIT_HPP

#include <chrono>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <tidepool/detail/driver/asio_io.hpp>
#include <tidepool/sqlite.hpp>

#include "../support/catch.hpp"

namespace tidepool_tests {

namespace asio = tidepool::asio;
namespace lite = tidepool::sqlite;
using namespace std::chrono_literals;

/// A folder that is gone with the object.
class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "tidepool-sqlite.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
    path_ = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() {
    std::error_code ignored;  // NOLINT: of std::filesystem
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// A check within a coroutine, where Catch2's assertions may not stand.
inline void must(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// Runs one coroutine on a context of its own to its end, and the context until nothing is left in it.
inline void run(asio::awaitable<void> task) {
  asio::io_context context;
  std::exception_ptr failure;
  bool done = false;
  asio::co_spawn(context, std::move(task), [&](std::exception_ptr e) {
    failure = e;
    done = true;
  });
  context.run_for(60s);
  if (!done) throw std::runtime_error("the coroutine hangs");
  if (!context.stopped()) throw std::runtime_error("work is left when the coroutine has ended");
  if (failure) std::rethrow_exception(failure);
}
template <class T>
T run(asio::awaitable<T> task) {
  std::optional<T> value;
  auto keep = [](asio::awaitable<T> running, std::optional<T>& out) -> asio::awaitable<void> { out.emplace(co_await std::move(running)); };
  run(keep(std::move(task), value));
  return std::move(*value);
}

/// The error of an operation that must fail with one.
template <class T>
asio::awaitable<lite::error> error_of(asio::awaitable<T> operation) {
  std::optional<lite::error> caught;
  try {
    co_await std::move(operation);
  } catch (const lite::error& failure) {
    caught = failure;
  }
  if (!caught) throw std::runtime_error("an error was expected, and none came");
  co_return *caught;
}

inline asio::awaitable<void> pause(std::chrono::milliseconds span) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(span);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Runs one handler on a pool, and closes that.
template <class Work>
void with_pool(const lite::connector& place, const tidepool::pool_config& config, Work work) {
  run([](lite::connector to, tidepool::pool_config how, Work body) -> asio::awaitable<void> {
    lite::pool pool(co_await asio::this_coro::executor, std::move(to), how);
    std::exception_ptr failure;
    try {
      co_await body(pool);
    } catch (...) {
      failure = std::current_exception();
    }
    co_await pool.close(5s);
    if (failure) std::rethrow_exception(failure);
  }(place, config, std::move(work)));
}

/// Counts for a long time: for what has to be interrupted.
inline constexpr const char* endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

}  // namespace tidepool_tests

#endif
