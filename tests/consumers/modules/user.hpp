// SPDX-License-Identifier: BSL-1.0
// tidepool - what a program asks of two shared objects: one makes its pools, the other uses them.
#ifndef TIDEPOOL_TESTS_CONSUMERS_MODULES_USER_HPP
#define TIDEPOOL_TESTS_CONSUMERS_MODULES_USER_HPP

#include <tidepool/pool.hpp>
#include <tidepool/postgres/error.hpp>

#include <array>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <system_error>
#include <typeinfo>

struct counted {
  std::atomic<int>* users;
  bool usable() const noexcept { return true; }
};
using counted_pool = tidepool::basic_pool<counted>;

/// Leases and gives back `rounds` times. False: two had one connection at a time.
inline bool borrow(counted_pool& pool, int rounds) {
  bool alone = true;
  for (int i = 0; i < rounds; ++i) {
    auto lease = pool.try_acquire();
    if (!lease) continue;
    alone = lease->users->fetch_add(1) == 0 && alone;
    lease->users->fetch_sub(1);
  }
  return alone;
}

/// What is thrown and caught across shared objects.
inline std::array<const std::type_info*, 5> thrown_types() {
  return {&typeid(tidepool::pool_error), &typeid(tidepool::connect_failure), &typeid(tidepool::connect_error),
          &typeid(tidepool::postgres::error), &typeid(tidepool::postgres::connect_error)};
}

struct user_functions {
  bool (*borrow)(counted_pool&, int rounds);
  /// Runs `io` until an acquire that cannot succeed has failed.
  std::exception_ptr (*acquire)(counted_pool&, tidepool::asio::io_context& io);
  std::error_code (*code)(tidepool::errc);
  bool (*equal)(const std::error_code&, tidepool::errc);
  std::error_code (*postgres_code)(tidepool::postgres::errc);
  bool (*postgres_equal)(const std::error_code&, tidepool::postgres::errc);
  void (*fail)();           ///< throws a connect_error that is for good
  void (*fail_postgres)();  ///< the same of the driver
  std::array<const std::type_info*, 5> (*types)();
};
struct maker_functions {
  std::unique_ptr<counted_pool> (*make)(tidepool::asio::io_context&, const tidepool::pool_config&,
                                        std::function<tidepool::asio::awaitable<counted>()> connect);
};
/// Found by name in plugins.
extern "C" __attribute__((visibility("default"))) const user_functions* tidepool_test_user();
extern "C" __attribute__((visibility("default"))) const maker_functions* tidepool_test_maker();
/// Of a program that is linked with the shared objects.
struct linked_modules {
  const user_functions* user;
  const maker_functions* maker;
};
__attribute__((weak)) linked_modules linked();

#endif
