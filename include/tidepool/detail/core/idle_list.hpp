// SPDX-License-Identifier: BSL-1.0
// tidepool - the idle connections, newest first, and the sweep that walks them from the oldest.
#ifndef TIDEPOOL_DETAIL_CORE_IDLE_LIST_HPP
#define TIDEPOOL_DETAIL_CORE_IDLE_LIST_HPP

#include "../../version.hpp"
#include "slot.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Sorted by `idle_since`. A connection that is checked in the background stays in its place (state `checking`), so a check changes
/// neither its idle age nor its turn; there are only ever a few, and those who take one step over them.
class idle_list {
 public:
  bool empty() const noexcept { return slots_.empty(); }

  void insert(core_slot& slot) noexcept {
    core_slot* newer = nullptr;
    for (core_slot* s = slots_.front(); s && s->idle_since > slot.idle_since; s = slots_.after(*s)) newer = s;
    if (newer) {
      slots_.insert_after(*newer, slot);
    } else {
      slots_.push_front(slot);
    }
  }
  void erase(core_slot& slot) noexcept {
    if (cursor_ == &slot) cursor_ = slots_.before(slot);
    slots_.erase(slot);
  }

  core_slot* newest() const noexcept {
    core_slot* s = slots_.front();
    while (s && s->state != slot_state::idle) s = slots_.after(*s);
    return s;
  }
  core_slot* oldest() const noexcept {
    core_slot* s = slots_.back();
    while (s && s->state != slot_state::idle) s = slots_.before(*s);
    return s;
  }

  void start_sweep() noexcept { cursor_ = slots_.back(); }
  /// The next one the sweep has to look at, or null when it is through.
  core_slot* sweep_next() noexcept {
    core_slot* out = cursor_;
    if (out) cursor_ = slots_.before(*out);
    return out;
  }
  bool sweeping() const noexcept { return cursor_ != nullptr; }
  core_slot* front() const noexcept { return slots_.front(); }
  core_slot* after(core_slot& slot) const noexcept { return slots_.after(slot); }

 private:
  intrusive_list<core_slot> slots_;
  core_slot* cursor_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
