// SPDX-License-Identifier: BSL-1.0
// tidepool - waits for the driver's detached threads (logins, cancel requests): a test program must not end before them.
#ifndef TIDEPOOL_TESTS_SUPPORT_SIDE_THREADS_HPP
#define TIDEPOOL_TESTS_SUPPORT_SIDE_THREADS_HPP

#include <tidepool/postgres.hpp>
#include <tidepool/postgres/detail/side_thread.hpp>

#include <chrono>
#include <thread>

namespace tidepool_tests {

/// Waits for their end, three minutes at most.
inline bool side_threads_end() {
  const auto running = [] { return tidepool::postgres::detail::side_threads_running().load(); };
  for (int i = 0; i < 18'000 && running() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return running() == 0;
}

}  // namespace tidepool_tests

#endif
