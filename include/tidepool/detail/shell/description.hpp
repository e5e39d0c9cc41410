// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool at one moment in some ten lines of text, for people.
#ifndef TIDEPOOL_DETAIL_SHELL_DESCRIPTION_HPP
#define TIDEPOOL_DETAIL_SHELL_DESCRIPTION_HPP

#include <array>
#include <cstddef>
#include <string>

#include "../../bounded_string.hpp"
#include "../../events.hpp"
#include "../../stats.hpp"
#include "../../version.hpp"
#include "../core/core_actions.hpp"
#include "../util/linkage.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What a description is made of. Of a fixed size, because it is filled under the lock.
struct pool_picture {
  pool_stats stats;
  const char* why = "";
  connect_outlook outlook;
  std::array<caller_report, 3> callers{};
  std::size_t called = 0;
  std::array<lease_report, 8> holders{};
  std::size_t held = 0;
  bounded_string<512> last_connect_error{};
  duration last_connect_error_age{};
  bounded_string<160> silent_server{};
};

TIDEPOOL_DECL std::string describe(const pool_picture& of);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/description.ipp"
#endif

#endif
