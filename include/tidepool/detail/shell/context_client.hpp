// SPDX-License-Identifier: BSL-1.0
// tidepool - what is told that its execution context is being destroyed.
#ifndef TIDEPOOL_DETAIL_SHELL_CONTEXT_CLIENT_HPP
#define TIDEPOOL_DETAIL_SHELL_CONTEXT_CLIENT_HPP

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// See context_watch.hpp.
class context_client {
 public:
  virtual void context_shutdown() noexcept = 0;

 protected:
  ~context_client() = default;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
