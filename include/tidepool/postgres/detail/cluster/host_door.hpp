// SPDX-License-Identifier: BSL-1.0
// tidepool - how the pool of a host connects: to the address that the host's probe has reached, so that both talk to one server.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_DOOR_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_DOOR_HPP

#include <mutex>
#include <string>
#include <utility>

#include "../../../version.hpp"
#include "../../connector.hpp"
#include "../../options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// A name may have several addresses, and others tomorrow. Thread safe.
class host_door {
 public:
  /// `settings`: of this host alone.
  explicit host_door(options settings) : settings_(std::move(settings)), now_(settings_), pinned_(settings_.get("hostaddr")) {}

  connector now() const {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  /// From now on to this numeric address; empty: no change.
  void lead_to(const std::string& address) {
    {
      const std::lock_guard lock(mutex_);
      if (address.empty() || address == pinned_) return;
    }
    options with = settings_;
    with.set("hostaddr", address);
    connector made(std::move(with));
    const std::lock_guard lock(mutex_);
    now_ = std::move(made);
    pinned_ = address;
  }

 private:
  const options settings_;
  mutable std::mutex mutex_;
  connector now_;
  std::string pinned_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
