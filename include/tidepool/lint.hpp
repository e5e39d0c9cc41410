// SPDX-License-Identifier: BSL-1.0
// tidepool - what a server's limits and a pool's configuration say against each other.
#ifndef TIDEPOOL_LINT_HPP
#define TIDEPOOL_LINT_HPP

#include <string>

#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// One contradiction between a server's limits and the configuration of a pool or driver. A plain value; its texts hold no secret.
struct limit_finding {
  std::string limit;   ///< the server's setting, or the driver's option, that it is about: "max_connections"
  std::string text;    ///< what does not fit, with the figures of both sides
  std::string change;  ///< what to write where
  /// Both as one sentence.
  std::string line() const { return text + ": " + change; }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
