// SPDX-License-Identifier: BSL-1.0
// tidepool - leases whose server does not answer: counted, so that their holders are not blamed. Included by pool_impl.hpp.
#ifndef TIDEPOOL_DETAIL_SHELL_SILENCE_HPP
#define TIDEPOOL_DETAIL_SHELL_SILENCE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

#include "../../config.hpp"
#include "../../connection.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What was last found. Finding it goes through all leases, so a crowd that times out together is told one and the same.
struct silence_report {
  static constexpr duration fresh = std::chrono::milliseconds(100);
  static constexpr std::size_t most_text = 160;

  tick at = -fresh;
  std::size_t leases = 0;  ///< silent for `threshold`
  std::size_t out = 0;     ///< all
  duration longest{};
  std::string server;  ///< of the longest
};

/// How long a server may take before it is called silent.
inline duration silence_threshold(const pool_config& config) noexcept {
  return std::min<duration>(std::chrono::seconds(5), config.response_timeout / 2);
}

/// How long the holder has been waiting for the server, zero when it does not. For a connection that tells, or null.
template <class Clock, class Connection>
duration waiting_for(const Connection* connection, tick now) noexcept {
  if (!connection) return duration::zero();
  const auto since = std::chrono::duration_cast<tick>(typename Clock::time_point(connection->waiting_since()).time_since_epoch());
  return since == tick{} || since > now ? duration::zero() : now - since;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
