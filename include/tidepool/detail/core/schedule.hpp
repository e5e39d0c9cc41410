// SPDX-License-Identifier: BSL-1.0
// tidepool - when upkeep is due: the pool has one timer, set to the earliest of all deadlines.
#ifndef TIDEPOOL_DETAIL_CORE_SCHEDULE_HPP
#define TIDEPOOL_DETAIL_CORE_SCHEDULE_HPP

#include <algorithm>

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Points in time that are the pool's own, not those of a slot or caller.
class schedule {
 public:
  // --- the timer

  /// What the shell's timer is set to, or earlier.
  tick armed_at() const noexcept { return armed_at_; }
  /// Sets the timer to `due` if that is earlier; `arm_at` tells the shell.
  void arm(tick due, tick& arm_at) noexcept {
    if (due < armed_at_) armed_at_ = arm_at = due;
  }
  void fired() noexcept { armed_at_ = never; }

  // --- rounds of checks

  /// One regular round each `interval` from now on.
  void start_rounds(tick now, duration interval) noexcept { next_round_ = later(now, interval); }
  tick next_round() const noexcept { return next_round_; }
  /// Another interval: the next round is not later than that from now. `no_limit`: only one that a death asked for.
  void change_rounds(tick now, duration interval) noexcept {
    const bool asked_for = suspected_at_ != not_known && suspected_at_ > round_began_;
    next_round_ = interval == no_limit && !asked_for ? never : (std::min)(next_round_, later(now, interval));
  }
  /// A connection proved dead. They die together, so the others are looked at now, once per `pause` at most; a death within the pause has
  /// its round when that is over. True: a round is to begin now.
  bool suspect(tick now, duration pause) noexcept {
    const tick again = suspected_at_ == not_known ? now : later(round_began_, pause);
    suspected_at_ = now;
    if (now < again) {
      next_round_ = (std::min)(next_round_, again);
      return false;
    }
    round_began_ = now;
    return true;
  }
  /// The time of a round has come. True: it is to begin from the start, because of a death that had no round yet.
  bool round_due(tick now, duration interval) noexcept {
    next_round_ = later(now, interval);
    if (suspected_at_ <= round_began_) return false;
    round_began_ = now;
    return true;
  }
  /// When a connection last proved dead: what was fine before that is looked at again.
  tick suspected_at() const noexcept { return suspected_at_; }

  // --- scaling, retirement, the end of close()

  tick next_scaling = never;
  tick last_retirement{};
  tick close_deadline = never;
  duration close_grace = no_limit;  ///< that led to it

 private:
  tick armed_at_ = never;
  tick next_round_ = never;
  tick suspected_at_ = not_known;
  tick round_began_{};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
