// SPDX-License-Identifier: BSL-1.0
// tidepool - a program that shares its pool with a shared object: the one it is linked with, or a plugin whose path it is given.
#include <dlfcn.h>

#include <cstdio>
#include <deque>
#include <thread>
#include <vector>

#include "user.hpp"

namespace {

namespace asio = tidepool::asio;

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("FAILED: %s\n", what);
}

const module_functions* load(const char* path) {
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    std::printf("%s\n", ::dlerror());
    return nullptr;
  }
  auto* const find = reinterpret_cast<decltype(&tidepool_test_module)>(::dlsym(library, "tidepool_test_module"));
  return find ? find() : nullptr;
}

asio::awaitable<void> open(counted_pool& pool) { co_await pool.open(); }
asio::awaitable<void> close(counted_pool& pool) { co_await pool.close(std::chrono::seconds(1)); }

/// Threads of both give and take at once: whatever their numbers are, no connection is lost or in two hands.
void share(const module_functions& module) {
  std::deque<std::atomic<int>> users;
  asio::io_context io;
  tidepool::pool_config config;
  config.min_size = config.max_size = 6;
  config.auto_scale = config.leak_detection = false;
  auto connect = [&users]() -> asio::awaitable<counted> { co_return counted{&users.emplace_back(0)}; };
  counted_pool pool(io, connect, config);
  asio::co_spawn(io, open(pool), [&io](std::exception_ptr) { io.stop(); });
  io.run();
  io.restart();
  check(pool.stats().idle_connections == 6, "the pool is open");
  std::atomic<bool> alone{true};
  for (int round = 0; round < 40; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] { alone = borrow(pool, 5'000) && alone; });
      threads.emplace_back([&] { alone = module.borrow(pool, 5'000) && alone; });
    }
    for (auto& thread : threads) thread.join();
    check(pool.stats().active_connections == 0, "every lease came back");
    if (failures > 0) break;
  }
  check(alone, "one user at a time");
  check(pool.stats().idle_connections == 6, "no connection was lost");
  asio::co_spawn(io, close(pool), asio::detached);
  io.run();
  check(pool.stats().total_connections == 0, "the pool is closed");
}

void compare(const module_functions& module) {
  const std::error_code theirs = module.timed_out();
  check(theirs == tidepool::errc::timeout && tidepool::errc::timeout == theirs, "its code is our errc::timeout");
  check(theirs != tidepool::errc::closed, "and no other");
  check(module.is_timeout(make_error_code(tidepool::errc::timeout)), "ours is its own");
  check(theirs == std::errc::timed_out, "and a condition of the standard's");
  const std::error_code closed(static_cast<int>(tidepool::errc::closed), theirs.category());
  check(closed == make_error_code(tidepool::errc::closed).default_error_condition(), "its code meets our condition");
  try {
    module.fail();
    check(false, "it throws");
  } catch (const tidepool::connect_failure& failure) {
    check(failure.kind() == tidepool::failure_kind::permanent, "its exceptions are ours");
  }
}

}  // namespace

int main(int count, char** arguments) {
  const module_functions* module = linked_module ? linked_module() : load(arguments[count - 1]);
  if (!module) return 2;
  share(*module);
  compare(*module);
  return failures == 0 ? 0 : 1;
}
