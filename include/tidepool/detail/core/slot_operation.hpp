// SPDX-License-Identifier: BSL-1.0
// tidepool - what is done for one slot outside the lock: asked for, begun, ended, or given up.
#ifndef TIDEPOOL_DETAIL_CORE_SLOT_OPERATION_HPP
#define TIDEPOOL_DETAIL_CORE_SLOT_OPERATION_HPP

#include <cstdint>
#include <utility>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What the shell is to do for a slot.
enum class slot_action : std::uint8_t {
  none,
  validate,
  reset,
  close,        ///< close gracefully, within a bound
  destroy,      ///< end it at once
  cancel_op,    ///< its operation took too long: shut the socket down and cancel
  abort_lease,  ///< its lease took too long: shut the socket down
  discard       ///< free the slot; it has no other user
};

/// The machine of one slot's operation. The pool asks for something (`ask`), the shell fetches that (`take`), makes a coroutine, and
/// reports how far it is. Meanwhile the pool may give the slot up (`slot_state::gone`): then the last user of the slot frees it. Users are
/// the coroutine or the holder of the lease on one side, and the thread that shuts the socket down on the other.
///
///     phase      meaning                                    ends by
///     absent     no coroutine                               take() of validate, reset, close -> starting; begin() -> running
///     starting   taken from the list, its coroutine is      started() -> running; ended(), let_go() -> absent; a cancel now is
///                being made; or it is ending, and cannot    only noted, and started() then says no
///                be cancelled any more
///     running    the coroutine runs; a cancel reaches it    ended(), let_go() -> absent; ending() -> starting
///
/// Under the pool's lock, but for `overran()`: its answer does not change any more once the shell asks.
class slot_operation {
 public:
  enum class phase : std::uint8_t { absent, starting, running };

  phase reached() const noexcept { return phase_; }
  slot_action asked() const noexcept { return asked_; }
  /// Whether it took too long.
  bool overran() const noexcept { return overran_; }

  /// True: the slot is not in the list of pending actions yet. A newer action replaces an older one that was not taken.
  bool ask(slot_action what) noexcept { return std::exchange(asked_, what) == slot_action::none; }
  /// A graceful close that has not begun becomes a plain end.
  bool hurry_close() noexcept {
    if (asked_ != slot_action::close) return false;
    asked_ = slot_action::destroy;
    return true;
  }
  /// What the shell has to do now; `none` when a cancel has only to be noted.
  slot_action take() noexcept {
    const slot_action what = std::exchange(asked_, slot_action::none);
    switch (what) {
      case slot_action::validate:
      case slot_action::reset:
      case slot_action::close: phase_ = phase::starting; return what;
      case slot_action::cancel_op:
        if (phase_ == phase::starting) {
          cancel_noted_ = true;
          return slot_action::none;
        }
        if (left_ || phase_ == phase::absent) return slot_action::discard;
        aborting_ = true;
        return what;
      case slot_action::abort_lease:
        if (left_) return slot_action::discard;
        aborting_ = true;
        return what;
      default: return what;
    }
  }

  /// A connect begins.
  void begin() noexcept { phase_ = phase::running; }
  /// The coroutine is there. False: it must not run, and the caller frees the slot.
  bool started() noexcept {
    if (cancel_noted_) return false;
    phase_ = phase::running;
    return true;
  }
  /// From here on a cancel leaves the slot alone.
  void ending() noexcept { phase_ = phase::starting; }
  void ended() noexcept { phase_ = phase::absent; }
  void overrun() noexcept { overran_ = true; }
  /// The user of a slot that was given up is through with it. True: it frees the slot; false: the thread that shuts the socket
  /// down does.
  bool let_go() noexcept {
    phase_ = phase::absent;
    left_ = aborting_ || asked_ != slot_action::none;
    return !left_;
  }
  /// The socket is shut down. True: the caller frees the slot.
  bool aborted() noexcept {
    aborting_ = false;
    return left_;
  }

 private:
  slot_action asked_ = slot_action::none;  ///< in the list of pending actions unless `none`
  phase phase_ = phase::absent;
  bool overran_ = false;
  bool cancel_noted_ = false;  ///< to end before it begins
  bool aborting_ = false;      ///< the shell is shutting the socket down
  bool left_ = false;          ///< its user is through with it
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
