// SPDX-License-Identifier: BSL-1.0
// tidepool - a program that shares pools with two shared objects: those it is linked with, or plugins whose paths it is given.
#include <dlfcn.h>

#include <cstdio>
#include <deque>
#include <thread>
#include <vector>

#include "user.hpp"

namespace {

namespace asio = tidepool::asio;
namespace postgres = tidepool::postgres;

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("FAILED: %s\n", what);
}

template <class Function>
Function* load(const char* path, const char* name) {
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    std::printf("%s\n", ::dlerror());
    return nullptr;
  }
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

asio::awaitable<void> open(counted_pool& pool) { co_await pool.open(); }
asio::awaitable<void> close(counted_pool& pool) { co_await pool.close(std::chrono::seconds(1)); }
std::exception_ptr run(asio::io_context& io, asio::awaitable<void> work) {
  std::exception_ptr failed;
  asio::co_spawn(io, std::move(work), [&](std::exception_ptr what) {
    failed = std::move(what);
    io.stop();
  });
  io.run();
  io.restart();
  return failed;
}
tidepool::pool_config of_size(std::size_t size) {
  tidepool::pool_config config;
  config.min_size = config.max_size = size;
  config.auto_scale = config.leak_detection = false;
  return config;
}

/// Threads of both give and take at once: whatever their numbers are, no connection is lost or in two hands.
void share(const linked_modules& modules) {
  std::deque<std::atomic<int>> users;
  asio::io_context io;
  auto connect = [&users]() -> asio::awaitable<counted> { co_return counted{&users.emplace_back(0)}; };
  const auto pool = modules.maker->make(io, of_size(6), connect);
  check(!run(io, open(*pool)), "it opens");
  check(pool->stats().idle_connections == 6, "the pool is open");
  std::atomic<bool> alone{true};
  for (int round = 0; round < 40; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] { alone = borrow(*pool, 5'000) && alone; });
      threads.emplace_back([&] { alone = modules.user->borrow(*pool, 5'000) && alone; });
    }
    for (auto& thread : threads) thread.join();
    check(pool->stats().active_connections == 0, "every lease came back");
    if (failures > 0) break;
  }
  check(alone, "one user at a time");
  check(pool->stats().idle_connections == 6, "no connection was lost");
  check(!run(io, close(*pool)), "it closes");
  check(pool->stats().total_connections == 0, "the pool is closed");
}

/// What one throws the others catch, by every base and with its report.
void throw_across(const linked_modules& modules) {
  asio::io_context io;
  std::atomic<int> users{0};
  auto connect = [&users]() -> asio::awaitable<counted> { co_return counted{&users}; };
  const auto pool = modules.maker->make(io, of_size(1), connect);
  check(!run(io, open(*pool)), "it opens");
  {
    const auto only = pool->try_acquire();
    const std::exception_ptr failed = modules.user->acquire(*pool, io);
    try {
      std::rethrow_exception(failed);
    } catch (const tidepool::pool_error& error) {
      check(error.code() == tidepool::errc::timeout && error.report().active == 1, "a pool_error with its report");
    } catch (...) {
      check(false, "its pool_error is ours");
    }
    try {
      std::rethrow_exception(failed);
    } catch (const std::system_error& error) {
      check(error.code() == std::errc::timed_out, "a system_error with its condition");
    } catch (...) {
      check(false, "it is a system_error");
    }
  }
  check(!run(io, close(*pool)), "it closes");

  for (auto fail : {modules.user->fail, modules.user->fail_postgres}) {
    auto refused = [fail]() -> asio::awaitable<counted> {
      fail();
      co_return counted{nullptr};
    };
    const auto other = modules.maker->make(io, of_size(1), refused);
    try {
      std::rethrow_exception(run(io, open(*other)));
    } catch (const tidepool::pool_error& error) {
      check(error.report().connect_failure == tidepool::failure_kind::permanent, "the kind of a connect_failure arrives at the pool");
    } catch (...) {
      check(false, "open() throws a pool_error");
    }
  }
  try {
    modules.user->fail_postgres();
  } catch (const postgres::error& error) {
    check(error.reason() == postgres::errc::connect_failed, "the driver's errors are ours");
  } catch (...) {
    check(false, "its postgres::error is ours");
  }
}

/// Every code of one is equal to the same of the other, both ways, and to no other.
template <class Errc>
void compare(std::error_code (*theirs)(Errc), bool (*equal)(const std::error_code&, Errc), int last) {
  for (int i = 1; i <= last; ++i) {
    for (int j = 1; j <= last; ++j) {
      const auto one = static_cast<Errc>(i), other = static_cast<Errc>(j);
      check((theirs(one) == other) == (i == j) && (other == theirs(one)) == (i == j), "its code is our errc");
      check(equal(make_error_code(one), other) == (i == j), "ours is its own");
    }
    const std::error_code code = theirs(static_cast<Errc>(i));
    check(code.default_error_condition() == make_error_code(static_cast<Errc>(i)).default_error_condition() ||
              code == make_error_code(static_cast<Errc>(i)).default_error_condition(),
          "its code meets our condition");
  }
}

}  // namespace

int main(int, char** arguments) {
  linked_modules modules{};
  if (linked) {
    modules = linked();
    // Not so with plugins: there types are compared by their names, where the standard library does that.
    check(modules.user->types() == thrown_types(), "types that are thrown exist once");
  } else {
    const auto user = load<decltype(tidepool_test_user)>(arguments[1], "tidepool_test_user");
    const auto maker = load<decltype(tidepool_test_maker)>(arguments[2], "tidepool_test_maker");
    if (!user || !maker) return 2;
    modules = {user(), maker()};
  }
  share(modules);
  throw_across(modules);
  compare(modules.user->code, modules.user->equal, static_cast<int>(tidepool::errc::not_in_time));
  compare(modules.user->postgres_code, modules.user->postgres_equal, static_cast<int>(postgres::errc::server_silent));
  check(modules.user->code(tidepool::errc::timeout) == std::errc::timed_out, "and a condition of the standard's");
  return failures == 0 ? 0 : 1;
}
