// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool at one moment: its figures, who holds what, who waits.
#ifndef TIDEPOOL_INSPECTION_HPP
#define TIDEPOOL_INSPECTION_HPP

#include <cstddef>
#include <string>
#include <vector>

#include "bounded_string.hpp"
#include "detail/util/linkage.hpp"
#include "events.hpp"
#include "stats.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// What `basic_pool::inspect()` returns: taken under the pool's lock at one time, so that all of it fits together. A plain value of about
/// 9 kB and its two lists.
struct pool_inspection {
  pool_stats stats;
  const char* reason = "";                   ///< why the pool is in its state; one of a few fixed texts
  std::vector<lease_report> leases;          ///< reported leaks first, then the others, each held longest first
  std::vector<caller_report> callers;        ///< the queue, the longest wait first
  std::size_t connect_failures = 0;          ///< in a row
  duration connecting_fails_for{};           ///< since the first of them
  duration next_connect = no_limit;          ///< until the next attempt; `no_limit`: one is under way, or none is wanted
  bounded_string<512> last_connect_error{};  ///< empty where the latest connect succeeded
  duration last_connect_error_age{};         ///< zero without one
  bounded_string<160> silent_server{};       ///< of the lease that has waited longest for an answer, see `pool_stats::silent`

  /// What `basic_pool::describe()` returns. The wording may change.
  TIDEPOOL_DECL std::string describe() const;
  /// One JSON object on one line; durations in seconds, `no_limit` is null. Texts are as their owners gave them: a page has to show them
  /// as text. Places are `file`, `line`, `function`.
  TIDEPOOL_DECL std::string to_json() const;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/inspection.ipp"
#endif

#endif
