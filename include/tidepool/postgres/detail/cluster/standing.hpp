// SPDX-License-Identifier: BSL-1.0
// tidepool - what holders of long leases may ask of their host without the cluster's lock, as often as they like.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_STANDING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_STANDING_HPP

#include <atomic>
#include <chrono>

#include "../../../time.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// Written with the lock held, at the end of each event.
class host_standing {
 public:
  using tick = tidepool::detail::tick;

  /// `fresh`: it has all that the primary had then; `not_known`: nobody knows.
  void set(bool writes, bool readable, tick fresh) noexcept {
    writes_.store(writes, std::memory_order_relaxed);
    fresh_.store(fresh.time_since_epoch().count(), std::memory_order_relaxed);
    readable_.store(readable, std::memory_order_relaxed);
  }
  /// It is the primary, and answers.
  bool takes_writes() const noexcept { return writes_.load(std::memory_order_relaxed); }
  /// It is a standby that may be read at all.
  bool readable() const noexcept { return readable_.load(std::memory_order_relaxed); }
  /// Upper bound of what a standby is behind.
  duration lag(tick now) const noexcept {
    const tick fresh{tick::duration(fresh_.load(std::memory_order_relaxed))};
    if (fresh == tidepool::detail::not_known) return no_limit;
    return now > fresh ? duration(now - fresh) : duration::zero();
  }

  /// Whether a new proof may be asked for, as the lock is then taken: once in a while.
  bool may_ask(tick now) const noexcept {
    const tick last{tick::duration(asked_.load(std::memory_order_relaxed))};
    if (now - last < std::chrono::milliseconds(10)) return false;
    asked_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    return true;
  }

 private:
  std::atomic<bool> writes_{false};
  std::atomic<bool> readable_{false};
  std::atomic<tick::rep> fresh_{0};
  mutable std::atomic<tick::rep> asked_{0};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
