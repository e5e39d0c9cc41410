// SPDX-License-Identifier: BSL-1.0
// tidepool - the options of a multiplexer: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_MULTIPLEXER_OPTIONS_IPP
#define TIDEPOOL_POSTGRES_IMPL_MULTIPLEXER_OPTIONS_IPP

#include <chrono>
#include <string>

#include "../../version.hpp"
#include "../multiplexer_options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY std::string multiplexer_options::faults() const {
  std::string out;
  const auto positive = [&out](auto value, const char* name) {
    if (value > decltype(value){}) return;
    out += (out.empty() ? "" : "; ") + std::string(name) + " has to be above zero";
  };
  positive(max_lanes, "max_lanes");
  positive(max_depth, "max_depth");
  positive(max_bytes, "max_bytes");
  positive(max_waiting, "max_waiting");
  positive(timeout, "timeout");
  positive(stall_after, "stall_after");
  positive(lane_idle, "lane_idle");
  positive(lane_lifetime, "lane_lifetime");
  positive(give_up_after, "give_up_after");
  if (look_time < duration::zero() || look_time > std::chrono::milliseconds(10))
    out += (out.empty() ? "" : "; ") + std::string("look_time has to be from 0 to 10 ms");
  if (max_depth > 4096 || max_lanes > 1024) out += (out.empty() ? "" : "; ") + std::string("max_depth is at most 4096, max_lanes 1024");
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
