// SPDX-License-Identifier: BSL-1.0
// tidepool - what is counted: outcomes of callers, connections and leases for `stats()`, and how busy they are for scaling.
#ifndef TIDEPOOL_DETAIL_CORE_USAGE_HPP
#define TIDEPOOL_DETAIL_CORE_USAGE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../error.hpp"
#include "../../stats.hpp"
#include "../../version.hpp"
#include "../util/integral.hpp"
#include "slot.hpp"
#include "wait_queue.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// How long a lease was held, where that was not measured.
inline constexpr duration not_timed = duration(-1);

/// `Scales`: there is a scaling policy that wants to know how busy the connections are.
template <bool Scales>
class usage {
 public:
  /// Counters and histograms; its gauges are empty. What leases do in the stash is in it when they have ended.
  const pool_stats& totals() const noexcept { return totals_; }

  // --- callers

  /// Acquires so far, whatever came of them. Those that the stash served count when their lease has ended.
  std::uint64_t asked() const noexcept {
    const pool_stats& n = totals_;
    return n.direct + n.waited + n.timeouts + n.rejected_full + n.cancelled + n.refused_open + n.refused_connect + n.refused_closed;
  }
  void served_directly() noexcept { ++totals_.direct; }
  void direct_undone() noexcept { --totals_.direct; }
  void served(const core_waiter& w, tick now) noexcept {
    if (w.direct) return served_directly();
    ++totals_.waited;
    totals_.wait_time.record(now - w.since, w.weight);
  }
  /// The connection it was served with, at `listed`, has proved dead.
  void undone(const core_waiter& w, tick listed) noexcept {
    if (w.direct) return direct_undone();
    --totals_.waited;
    totals_.wait_time.forget(listed - w.since, w.weight);
  }
  void refused(errc why) noexcept {
    switch (why) {
      case errc::timeout: ++totals_.timeouts; break;
      case errc::queue_full: ++totals_.rejected_full; break;
      case errc::cancelled: ++totals_.cancelled; break;
      case errc::circuit_open: ++totals_.refused_open; break;
      case errc::connect_failed: ++totals_.refused_connect; break;
      default: ++totals_.refused_closed; break;
    }
  }

  // --- connections

  void connect_started() noexcept { ++totals_.connects_started; }
  void connect_failed() noexcept { ++totals_.connection_errors; }
  void connected(tick now, duration took) noexcept {
    ++totals_.connections_created;
    totals_.connect_time.record(took);
    if constexpr (Scales) opened_.came(now);
  }
  void validated(bool ok) noexcept {
    ++totals_.validations;
    if (!ok) ++totals_.validation_failures;
  }
  /// Its connection was validated just before.
  void served_validated() noexcept { ++served_validated_; }
  /// Hand-outs without the validation that is asked for, where so many were made at all.
  std::uint64_t skipped(std::uint64_t checkouts) const noexcept {
    const std::uint64_t without = checkouts - (std::min)(checkouts, served_validated_);
    return totals_.validations_skipped + (asks_validation_ && without > without_seen_ ? without - without_seen_ : 0);
  }
  /// From now on it is asked for, or not.
  void asks_validation(bool asks, std::uint64_t checkouts) noexcept {
    totals_.validations_skipped = skipped(checkouts);
    without_seen_ = checkouts - (std::min)(checkouts, served_validated_);
    asks_validation_ = asks;
  }
  void reset() noexcept { ++totals_.resets; }
  /// It begins to close, and serves no caller from now on.
  void retired(tick now) noexcept {
    if constexpr (Scales) opened_.left(now);
  }
  void closed(close_reason reason) noexcept {
    ++totals_.closed_by_reason[static_cast<std::size_t>(reason)];
    ++totals_.connections_closed;
  }

  // --- leases

  void lease_began(tick now) noexcept {
    if constexpr (Scales) busy_.came(now);
  }
  void lease_ended(tick now) noexcept {
    if constexpr (Scales) busy_.left(now);
  }
  void lease_timed(duration held, std::uint64_t weight) noexcept { totals_.hold_time.record(held, weight); }
  /// What happened to a leased slot in the stash since it was last asked.
  void count_reuses(core_slot& slot) noexcept {
    const std::uint64_t reuses = slot.reuses;
    const duration unused = slot.unused;
    totals_.direct += reuses - slot.reuses_seen;
    if constexpr (Scales) busy_.absent(unused - slot.unused_seen);
    slot.reuses_seen = reuses;
    slot.unused_seen = unused;
  }
  void leak_detected() noexcept { ++totals_.leaks_detected; }
  void leak_returned() noexcept { ++totals_.leaks_returned; }
  void stalled() noexcept { ++totals_.stalls; }
  void leak_reclaimed() noexcept { ++totals_.leaks_reclaimed; }

  /// Leased time over open time since it was last asked, 0 to 1; 0 where nothing was open.
  double utilization(tick now, std::size_t open, std::size_t leased) noexcept {
    const double open_time = opened_.take(now, open);
    const double busy_time = busy_.take(now, leased);
    return open_time > 0 ? (std::min)(busy_time / open_time, 1.0) : 0.0;
  }

 private:
  pool_stats totals_;
  std::uint64_t served_validated_ = 0;
  std::uint64_t without_seen_ = 0;
  bool asks_validation_ = false;
  count_integral busy_;    ///< leases times time
  count_integral opened_;  ///< connections times time
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
