// SPDX-License-Identifier: BSL-1.0
// tidepool - advice on the size of a pool, from the load it had.
#ifndef TIDEPOOL_ADVICE_HPP
#define TIDEPOOL_ADVICE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "config.hpp"
#include "detail/core/load_record.hpp"
#include "detail/util/lazy.hpp"
#include "detail/util/linkage.hpp"
#include "histogram.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// What advice is made of: a sample of the load that a pool had. A plain value.
struct pool_load {
  histogram hold_time;         ///< as `pool_stats::hold_time`
  histogram connect_time;      ///< as `pool_stats::connect_time`
  histogram wait_time;         ///< as `pool_stats::wait_time`
  detail::load_record record;  ///< what was seen at looks
  std::size_t min_size = 0;    ///< the bounds at present
  std::size_t max_size = 0;
};

/// What is expected of a pool whose `max_size` is `size`.
struct advised_size {
  std::size_t size = 0;
  duration p99_wait{};   ///< 99 of 100 acquires wait for this or less
  double at_limit = 0;   ///< share of the time in which all connections are leased
  double timed_out = 0;  ///< share of the acquires that would wait for `acquire_timeout` or longer
  bool good = false;     ///< `p99_wait` is at most the goal, and nothing times out
};

/// Advice on `min_size` and `max_size`. It changes nothing. A plain value.
struct pool_advice {
  bool known = false;        ///< false: there is too little to say anything, and the rest is zero
  const char* why = "";      ///< static text: why nothing is known
  duration observed{};       ///< the time that the sample covers
  double arrivals = 0;       ///< acquires a second, on average
  duration mean_hold{};      ///< of a lease
  double mean_leases = 0;    ///< by Little's law: arrivals times hold
  double peak_leases = 0;    ///< the same of the busiest window of the sample
  double burstiness = 1;     ///< variance of the leases at one moment over that of independent callers; 1: they are independent
  bool queued = false;       ///< callers wait so often that bursts cannot be told from the queue: `max_size` may be too small
  duration goal{};           ///< `pool_config::wait_goal`
  std::size_t min_size = 0;  ///< recommended
  std::size_t max_size = 0;  ///< recommended: the smallest one that is good
  advised_size now;          ///< what is expected of the present `max_size`
  duration measured_p99{};   ///< what the waits at the present size were, since the pool's start
  /// Seven sizes around the recommended one, smallest first; a tenth of it apart, one at least. Size 0: there is none.
  std::array<advised_size, 7> around{};
};

/// Advice for this load, with `wait_goal` and `acquire_timeout` of `config`. It replays the load in sizes that it tries: the arrivals of
/// the sample, in bursts as large as what was seen at one moment says, and the hold times of the histogram. `effort`: how many acquires
/// each replay has; the default takes some ten milliseconds. Throws std::bad_alloc. Needs no pool and no lock; the same load gives the same
/// advice.
TIDEPOOL_LAZY pool_advice advise(const pool_load& load, const pool_config& config, std::size_t effort = 40'000);

/// One JSON object on one line; durations in seconds.
TIDEPOOL_LAZY std::string to_json(const pool_advice& advice);
/// One line for people, without the pool's name.
TIDEPOOL_DECL std::string to_string(const pool_advice& advice);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/advice.ipp"
#endif

#endif
