// SPDX-License-Identifier: BSL-1.0
// tidepool - a doubly linked list of nodes that live elsewhere: linking never allocates, unlinking is O(1).
#ifndef TIDEPOOL_DETAIL_UTIL_INTRUSIVE_LIST_HPP
#define TIDEPOOL_DETAIL_UTIL_INTRUSIVE_LIST_HPP

#include <cassert>
#include <cstddef>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

struct list_hook {
  list_hook* prev = nullptr;
  list_hook* next = nullptr;
  bool linked() const noexcept { return next != nullptr; }
};

/// `T` derives from `list_hook` (once). Nodes must outlive their membership.
template <class T>
class intrusive_list {
 public:
  intrusive_list() noexcept { head_.prev = head_.next = &head_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;

  bool empty() const noexcept { return head_.next == &head_; }
  std::size_t size() const noexcept { return size_; }
  T* front() const noexcept { return empty() ? nullptr : static_cast<T*>(head_.next); }
  T* back() const noexcept { return empty() ? nullptr : static_cast<T*>(head_.prev); }
  /// The neighbour towards the back, or null.
  T* after(const T& node) const noexcept { return node.next == &head_ ? nullptr : static_cast<T*>(node.next); }
  /// The neighbour towards the front, or null.
  T* before(const T& node) const noexcept { return node.prev == &head_ ? nullptr : static_cast<T*>(node.prev); }

  void push_front(T& node) noexcept { link(node, &head_, head_.next); }
  void insert_after(T& place, T& node) noexcept { link(node, &place, place.next); }
  void push_back(T& node) noexcept { link(node, head_.prev, &head_); }
  void erase(T& node) noexcept {
    assert(node.linked());
    node.prev->next = node.next;
    node.next->prev = node.prev;
    node.prev = node.next = nullptr;
    --size_;
  }
  T* pop_front() noexcept {
    T* node = front();
    if (node) erase(*node);
    return node;
  }

 private:
  void link(T& node, list_hook* prev, list_hook* next) noexcept {
    assert(!node.linked());
    node.prev = prev;
    node.next = next;
    prev->next = next->prev = &node;
    ++size_;
  }

  list_hook head_;
  std::size_t size_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
