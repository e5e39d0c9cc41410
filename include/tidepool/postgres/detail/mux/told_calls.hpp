// SPDX-License-Identifier: BSL-1.0
// tidepool - statements of the multiplexer that have ended, and whose callers are not resumed yet.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_TOLD_CALLS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_TOLD_CALLS_HPP

#include <exception>

#include "../../../version.hpp"
#include "job.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

template <class Call>
class told_calls {
 public:
  bool empty() const noexcept { return list_.empty(); }
  void push(Call& c) noexcept {
    c.told = true;
    list_.push_back(c);
  }
  void forget(Call& c) noexcept {
    list_.erase(c);
    c.under_way = c.told = false;
  }
  /// Resumes those that are there now, and not those that come meanwhile. Throws what a handler throws; the rest is still there.
  void deliver() {
    for (auto left = list_.size(); left > 0 && !list_.empty(); --left) {
      auto& c = static_cast<Call&>(*list_.pop_front());
      c.under_way = c.told = false;
      c.deliver(&c);
    }
  }
  /// Destroys their callers instead.
  void drop() noexcept {
    while (job* const first = list_.pop_front()) {
      auto& c = static_cast<Call&>(*first);
      c.under_way = c.told = false;
      c.drop(&c);
    }
  }
  /// Why there was no lane, for those that had none.
  void explain(const std::exception_ptr& why) noexcept {
    for (job* each = list_.front(); each != nullptr; each = list_.after(*each)) {
      auto& c = static_cast<Call&>(*each);
      if (c.how == verdict::no_lane && !c.trouble) c.trouble = why;
    }
  }

 private:
  intrusive_list<job> list_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
