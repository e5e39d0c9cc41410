// SPDX-License-Identifier: BSL-1.0
// tidepool - what NOTIFY sent.
#ifndef TIDEPOOL_POSTGRES_NOTIFICATION_HPP
#define TIDEPOOL_POSTGRES_NOTIFICATION_HPP

#include <string>

#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What NOTIFY sent.
struct notification {
  std::string channel;
  std::string payload;
  int backend_pid = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
