// SPDX-License-Identifier: BSL-1.0
// tidepool - what a program asks of a shared object that uses the program's pool.
#ifndef TIDEPOOL_TESTS_CONSUMERS_MODULES_USER_HPP
#define TIDEPOOL_TESTS_CONSUMERS_MODULES_USER_HPP

#include <tidepool/pool.hpp>

#include <atomic>
#include <system_error>

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

struct module_functions {
  bool (*borrow)(counted_pool&, int rounds);
  std::error_code (*timed_out)();
  bool (*is_timeout)(const std::error_code&);
  void (*fail)();  ///< throws a connect_error that is for good
};
/// Found by name in a plugin.
extern "C" __attribute__((visibility("default"))) const module_functions* tidepool_test_module();
/// Of a program that is linked with the shared object.
__attribute__((weak)) const module_functions* linked_module();

#endif
