// SPDX-License-Identifier: BSL-1.0
// tidepool - how many connections one of several instances may have on a server that all of them share. No I/O, no clock.
//
// Nobody hands out shares: each instance sees how many sessions every instance has, and how many they lack, and comes to its own bound by
// rules that fit together. Each has a right to an equal share. Beyond that it borrows what is free, and gives it back as soon as the sum
// of what others lack, and of what is kept free for the next one, is more than what is free.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_BUDGET_CORE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_BUDGET_CORE_HPP

#include <algorithm>
#include <cstddef>
#include <vector>

#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// What one probe has seen of the server.
struct budget_view {
  std::size_t usable = 0;                ///< places for all instances: without reserved ones, other programs' sessions, and the probes
  std::size_t mine = 0;                  ///< sessions of this instance
  std::vector<std::size_t> instances{};  ///< sessions of every live instance, this one included
  std::size_t lacking = 0;               ///< what instances that have less than their share want in addition, this one not included
  std::size_t hungry = 0;                ///< instances that have told that they would take more than their share, this one included
  bool mine_told = false;                ///< this one has, with its previous probe
  std::size_t rank = 0;                  ///< its place among those, in an order that is the same for all
};

class budget_core {
 public:
  /// Bounds of this instance's pool, whatever the server has room for.
  budget_core(std::size_t most, double part) noexcept : most_(most), part_(part), cap_(most) {}

  /// How many connections it may have. Before the first view: all that its pool may have.
  std::size_t cap() const noexcept { return std::max<std::size_t>(1, std::min({most_, cap_, ceiling_})); }
  /// An equal share of what is there for all; 0 before the first view, and where there are more instances than places.
  std::size_t share() const noexcept { return share_; }
  /// What it lacks of its share, where its callers want `wanted` connections and it has `mine`.
  std::size_t lack(std::size_t wanted, std::size_t mine) const noexcept {
    const auto right = std::min({wanted, std::max<std::size_t>(share_, 1), most_});
    return right > mine ? right - mine : 0;
  }

  /// Whether it would take more than its share. It may do so after it has told: then all who borrow know of each other.
  bool hungry(std::size_t wanted) const noexcept { return std::min(wanted, most_) > share_; }

  /// The server refused a connection for want of room (53300), while this instance had `mine`.
  void full(std::size_t mine) noexcept {
    ceiling_ = std::max<std::size_t>(1, mine);
    refused_ = true;
  }
  /// A probe has been answered. Where it could not count, nothing is called, and the last bound stays.
  void seen(const budget_view& view) noexcept {
    const auto count = std::max<std::size_t>(view.instances.size(), 1);
    const auto for_all = static_cast<std::size_t>(static_cast<double>(view.usable) * part_);
    share_ = for_all / count;
    std::size_t total = 0;
    std::size_t borrowed = 0;
    for (const auto each : view.instances) {
      total += each;
      borrowed += each > share_ ? each - share_ : 0;
    }
    const auto mine_borrowed = view.mine > share_ ? view.mine - share_ : 0;
    // What is kept free, so that the next one that wants its share finds room before others have given back theirs.
    const std::size_t needed = view.lacking;
    const std::size_t free = for_all > total ? for_all - total : 0;
    if (free > needed) {
      // All who borrow take their part of it in the same second: no more than there is.
      const auto each = std::max<std::size_t>(view.hungry, 1);
      const std::size_t part = (free - needed) / each + (view.rank < (free - needed) % each ? 1 : 0);
      cap_ = std::max(share_, view.mine + (view.mine_told ? part : 0));
    } else {
      // Each gives its part, rounded up: together at least what is lacking.
      const std::size_t over = total > for_all ? total - for_all : 0;
      const std::size_t missing = std::min(needed - free + over, borrowed);
      const std::size_t back = borrowed == 0 ? 0 : (missing * mine_borrowed + borrowed - 1) / borrowed;
      cap_ = std::max(share_, view.mine - std::min(back, view.mine));
    }
    if (refused_) {
      refused_ = false;  // one more for each probe without a refusal
    } else if (ceiling_ < most_) {
      ++ceiling_;
    }
    if (ceiling_ >= cap_ && ceiling_ != no_ceiling) ceiling_ = no_ceiling;
  }

 private:
  static constexpr std::size_t no_ceiling = static_cast<std::size_t>(-1);

  std::size_t most_;
  double part_;
  std::size_t cap_;
  std::size_t share_ = 0;
  std::size_t ceiling_ = no_ceiling;
  bool refused_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
