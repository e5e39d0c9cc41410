// SPDX-License-Identifier: BSL-1.0
// tidepool - the kinds of pools that are simulated: what the connection can do, which mutex, which policies.
#ifndef TIDEPOOL_TESTS_SIMULATOR_KINDS_HPP
#define TIDEPOOL_TESTS_SIMULATOR_KINDS_HPP

#include "harness.hpp"

namespace tidepool_sim {

template <class Connection>
struct watched_traits : tidepool::testing::simulated_traits<Connection> {
  using observer = watcher;
};

/// All features, in the mode for several threads.
struct full_kind {
  static constexpr const char* name = "full";
  static constexpr tidepool::testing::fake_features features{};
  static constexpr bool ages = true;
  static constexpr bool two_threads = false;
  static constexpr bool stashes = false;  ///< for a pool stashes no lease whose return is watched
  using connection = tidepool::testing::basic_fake_connection<features>;
  using connector = tidepool::testing::basic_fake_connector<connection>;
  using traits = watched_traits<connection>;
};

/// The same in the mode for one thread.
struct lone_kind : full_kind {
  static constexpr const char* name = "lone";
  struct traits : watched_traits<connection> {
    using mutex_type = tidepool::null_mutex;
  };
};

/// Tells whether a call of the pool went past its lock.
struct counting_mutex : tidepool::testing::checked_mutex {
  void lock() {
    checked_mutex::lock();
    ++times;
  }
  static inline std::uint64_t times = 0;  // of all threads: they take turns
};

/// A pool whose leases are stashed.
struct quick_kind : full_kind {
  static constexpr const char* name = "quick";
  static constexpr bool stashes = true;
  static constexpr bool two_threads = true;
  struct traits : tidepool::testing::simulated_traits<connection> {
    using observer = quiet_watcher;
    using mutex_type = counting_mutex;
    static constexpr std::uint64_t hold_sampling = 4;
    static constexpr std::uint64_t hold_sampling_ramp = 0;
  };
};

/// The same in the mode for one thread, whose stash has a single place.
struct quick_lone_kind : quick_kind {
  static constexpr const char* name = "quick lone";
  static constexpr bool two_threads = false;
  struct traits : quick_kind::traits {
    using mutex_type = tidepool::null_mutex;
  };
};

/// A connection that can only be moved, and no policies.
struct bare_kind {
  static constexpr const char* name = "bare";
  static constexpr tidepool::testing::fake_features features{false, false, false, false, false, false, false};
  static constexpr bool ages = false;
  static constexpr bool stashes = false;
  static constexpr bool two_threads = false;
  using connection = tidepool::testing::basic_fake_connection<features>;
  using connector = tidepool::testing::basic_fake_connector<connection>;
  struct traits : watched_traits<connection> {
    using health_policy = tidepool::no_health_check;
    using leak_policy = tidepool::no_leak_detection;
    using scaling_policy = tidepool::no_scaling;
    using lifetime_policy = tidepool::no_lifetime;
    using breaker_policy = tidepool::no_breaker;
  };
};

/// Reset at every return, no abort; even use; no breaker.
struct plain_kind {
  static constexpr const char* name = "plain";
  static constexpr tidepool::testing::fake_features features{true, true, false, true, false, false, false};
  static constexpr bool ages = true;
  static constexpr bool stashes = false;
  static constexpr bool two_threads = false;
  using connection = tidepool::testing::basic_fake_connection<features>;
  using connector = tidepool::testing::basic_fake_connector<connection>;
  struct traits : watched_traits<connection> {
    using queue_policy = tidepool::fifo_queue_oldest_idle;
    using breaker_policy = tidepool::no_breaker;
    using mutex_type = tidepool::null_mutex;
  };
};

}  // namespace tidepool_sim

#endif
