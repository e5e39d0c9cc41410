// SPDX-License-Identifier: BSL-1.0
// tidepool - how many slots are in which state.
#ifndef TIDEPOOL_DETAIL_CORE_CENSUS_HPP
#define TIDEPOOL_DETAIL_CORE_CENSUS_HPP

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdlib>

#include "../../version.hpp"
#include "slot.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Counts slots, and is the only place that changes the state of one.
///
/// `Checked`: each change is checked against the table of slot.hpp, also where asserts are off.
template <bool Checked>
class census {
 public:
  std::size_t count(slot_state state) const noexcept { return counts_[index(state)]; }
  std::size_t idle() const noexcept { return count(slot_state::idle); }
  std::size_t leased() const noexcept { return count(slot_state::leased); }
  /// Connections that exist and may come to serve. Each sum is made from few numbers, because the hot path asks for them.
  std::size_t live() const noexcept { return members_ - closing() - count(slot_state::connecting); }
  /// Attempts in flight, those included that the shell was asked for and has not registered yet.
  std::size_t connecting() const noexcept { return count(slot_state::connecting) + asked_; }
  std::size_t open() const noexcept { return members_ - closing() + asked_; }
  std::size_t closing() const noexcept { return count(slot_state::closing) + count(slot_state::destroying); }
  /// What counts against `max_size`.
  std::size_t total() const noexcept { return members_ + asked_; }

  void connect_asked() noexcept { ++asked_; }
  void connect_answered() noexcept { --asked_; }
  void add(const core_slot& slot) noexcept {
    ++members_;
    ++counts_[index(slot.state)];
  }
  void transition(core_slot& slot, slot_state to) noexcept {
    if constexpr (Checked) {
      if (!may_become(slot.state, to)) std::abort();
    } else {
      assert(may_become(slot.state, to));
    }
    --counts_[index(slot.state)];
    slot.state = to;
    if (to == slot_state::gone) {
      --members_;
    } else {
      ++counts_[index(to)];
    }
  }

 private:
  static constexpr std::size_t index(slot_state state) noexcept { return static_cast<std::size_t>(state); }

  std::array<std::size_t, slot_states> counts_{};
  std::size_t members_ = 0;  ///< slots that are not gone
  std::size_t asked_ = 0;    ///< connects, not registered yet
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
