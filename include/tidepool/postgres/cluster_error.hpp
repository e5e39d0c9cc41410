// SPDX-License-Identifier: BSL-1.0
// tidepool - why a cluster has given no lease.
#ifndef TIDEPOOL_POSTGRES_CLUSTER_ERROR_HPP
#define TIDEPOOL_POSTGRES_CLUSTER_ERROR_HPP

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "../error.hpp"
#include "../version.hpp"
#include "topology.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Why a cluster has given no lease. `code()` is a `tidepool::errc`: `timeout`; `queue_full` (`max_waiting` callers wait already);
/// `connect_failed` (no host lets this program in, which does not pass by itself); `closed`; `cancelled`. For `read_fallback::fail` it
/// equals `std::errc::resource_unavailable_try_again`.
class cluster_error : public system_error {
 public:
  cluster_error(error_code why, const std::string& text, cluster_topology seen)
      : system_error(why), text_(text), seen_(std::make_shared<const cluster_topology>(std::move(seen))) {}
  /// One line: what was asked for and where, and what is known of each host, "a:5432 has been silent for 2.1 s".
  const char* what() const noexcept override { return text_.what(); }
  /// The hosts in the moment it failed.
  const cluster_topology& topology() const noexcept { return *seen_; }

 private:
  std::runtime_error text_;  // is copied without an allocation
  std::shared_ptr<const cluster_topology> seen_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
