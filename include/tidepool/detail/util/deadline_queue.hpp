// SPDX-License-Identifier: BSL-1.0
// tidepool - a queue of deadlines: a list for those that come in order, a heap for the others.
//
// Callers with the same timeout come in the order of their deadlines: adding and removing one changes a few pointers. Only a deadline that
// is earlier than the last one in the list needs the heap.
#ifndef TIDEPOOL_DETAIL_UTIL_DEADLINE_QUEUE_HPP
#define TIDEPOOL_DETAIL_UTIL_DEADLINE_QUEUE_HPP

#include "../../version.hpp"
#include "deadline_heap.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class T>
class deadline_queue {
 public:
  using node = deadline_node<T>;

  tick next() const noexcept { return first_ && first_->at < heap_.next() ? first_->at : heap_.next(); }
  node* top() const noexcept { return first_ && first_->at < heap_.next() ? first_ : heap_.top(); }
  bool empty() const noexcept { return !first_ && heap_.empty(); }

  /// A deadline of `never` is not kept at all.
  void insert(node& n, tick at) noexcept {
    if (at == never || (last_ && at < last_->at)) return heap_.insert(n, at);
    n.at = at;
    n.linked = n.in_line = true;
    n.sibling = nullptr;
    n.back = last_;
    (last_ ? last_->sibling : first_) = &n;
    last_ = &n;
  }
  void erase(node& n) noexcept {
    if (!n.in_line) return heap_.erase(n);
    (n.back ? n.back->sibling : first_) = n.sibling;
    (n.sibling ? n.sibling->back : last_) = n.back;
    n.sibling = n.back = nullptr;
    n.linked = n.in_line = false;
  }

 private:
  node* first_ = nullptr;
  node* last_ = nullptr;
  deadline_heap<T> heap_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
