// SPDX-License-Identifier: BSL-1.0
// tidepool - how far a standby is behind at most, by the log and the clock of the primary.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_LAG_PROOF_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_LAG_PROOF_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "../../../time.hpp"
#include "../../../version.hpp"
#include "host_table.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

class lag_proof {
 public:
  /// It has got the seat.
  void primary_changed(host_table& hosts, const host& now_primary) noexcept {
    marks_ = {};
    mark_count_ = 0;
    clock_at_ = not_known;
    const bool promoted = now_primary.timeline != seated_timeline_;
    seated_timeline_ = now_primary.timeline;
    for (auto& x : hosts.all) {
      x.follows = false;
      x.lsn_at_change = x.lsn;
      // It may have been the primary for as long as it was not asked, and what was said of the one before it proves nothing for that time.
      if (promoted) x.fresh = std::min(x.fresh, now_primary.as_standby);
    }
  }

  /// From the latest answer of the primary.
  void learn(host_table& hosts, const host& x) noexcept {
    if (x.lsn != 0) marks_[mark_count_++ % marks_.size()] = {x.answered, rounded(x.lsn)};
    if (x.clock != 0) {
      clock_ = x.clock;
      clock_at_ = x.answered;
    }
    for (auto& y : hosts.all) freshen(y, x, 0);
  }
  /// What the log and the clock of the primary prove of a standby.
  void freshen(host& x, const host& primary, std::uint32_t timeline) noexcept {
    if (!x.trusted || x.role != host::role::standby) return;
    const bool same_end = mark_count_ > 0 && rounded(x.lsn) == newest().lsn;
    const bool same_line = timeline != 0 && timeline == primary.timeline;
    if (x.lsn > x.lsn_at_change || same_end || same_line) x.follows = true;
    if (!x.follows) return;
    for (std::size_t back = 0; back < std::min(mark_count_, marks_.size()); ++back) {
      const auto& m = marks_[(mark_count_ - 1 - back) % marks_.size()];
      if (rounded(x.lsn) < m.lsn) continue;
      x.fresh = std::max(x.fresh, m.at);
      break;
    }
    if (clock_at_ == not_known || x.replayed_at == 0) return;
    // The clock showed `clock_` at `clock_at_` or a little later. Commits are logged a little after the time they bear.
    const auto behind = std::chrono::microseconds(clock_ - x.replayed_at) + std::chrono::milliseconds(10);
    x.fresh = std::max(x.fresh, std::min(later(clock_at_, -duration(behind)), x.answered));
  }
  static duration lag(const host& x, tick now) noexcept {
    if (x.fresh == not_known) return no_limit;
    return std::max(now - x.fresh, duration::zero());
  }

 private:
  struct mark {
    tick at = not_known;  ///< the beginning of the primary's probe
    std::uint64_t lsn = 0;
  };
  /// The headers of a page hold no records: its beginning, and the place behind them, are the same for a standby.
  static std::uint64_t rounded(std::uint64_t lsn) noexcept { return lsn % 8192 <= 40 ? lsn - lsn % 8192 : lsn; }
  const mark& newest() const noexcept { return marks_[(mark_count_ - 1) % marks_.size()]; }

  std::uint32_t seated_timeline_ = 0;
  std::array<mark, 32> marks_{};
  std::size_t mark_count_ = 0;
  std::int64_t clock_ = 0;
  tick clock_at_ = not_known;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
