// SPDX-License-Identifier: BSL-1.0
// tidepool - an intrusive pairing heap of deadlines: insert O(1), erase O(log n) amortised, no allocation.
// Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap" (1986), two-pass variant.
#ifndef TIDEPOOL_DETAIL_UTIL_DEADLINE_HEAP_HPP
#define TIDEPOOL_DETAIL_UTIL_DEADLINE_HEAP_HPP

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// One entry of a heap. `owner` points to the object that has the deadline.
template <class T>
struct deadline_node {
  tick at = never;
  T* owner = nullptr;
  deadline_node* child = nullptr;
  deadline_node* sibling = nullptr;
  deadline_node* back = nullptr;  // previous sibling, or the parent for a first child
  bool linked = false;
  bool in_line = false;  // see deadline_queue
};

template <class T>
class deadline_heap {
 public:
  using node = deadline_node<T>;

  bool empty() const noexcept { return root_ == nullptr; }
  node* top() const noexcept { return root_; }
  tick next() const noexcept { return root_ ? root_->at : never; }

  /// A deadline of `never` is not kept at all.
  void insert(node& n, tick at) noexcept {
    n.at = at;
    if (at == never) return;
    n.child = n.sibling = n.back = nullptr;
    n.linked = true;
    root_ = root_ ? meld(root_, &n) : &n;
  }

  void erase(node& n) noexcept {
    if (!n.linked) return;
    if (&n == root_) {
      root_ = merge_pairs(n.child);
    } else {
      (n.back->child == &n ? n.back->child : n.back->sibling) = n.sibling;
      if (n.sibling) n.sibling->back = n.back;
      if (node* rest = merge_pairs(n.child)) root_ = meld(root_, rest);
    }
    if (root_) root_->back = root_->sibling = nullptr;
    n.child = n.sibling = n.back = nullptr;
    n.linked = false;
  }

  void update(node& n, tick at) noexcept {
    erase(n);
    insert(n, at);
  }

 private:
  static node* meld(node* a, node* b) noexcept {
    if (b->at < a->at) {
      node* t = a;
      a = b;
      b = t;
    }
    b->back = a;
    b->sibling = a->child;
    if (a->child) a->child->back = b;
    a->child = b;
    a->sibling = a->back = nullptr;
    return a;
  }

  // Iterative, because 100,000 waiters with one timeout are one flat row of children.
  static node* merge_pairs(node* first) noexcept {
    node* merged = nullptr;  // pairs, last one first
    while (first) {
      node* a = first;
      node* b = a->sibling;
      first = b ? b->sibling : nullptr;
      a->sibling = a->back = nullptr;
      if (b) b->sibling = b->back = nullptr;
      node* pair = b ? meld(a, b) : a;
      pair->sibling = merged;
      merged = pair;
    }
    node* out = nullptr;
    while (merged) {
      node* rest = merged->sibling;
      merged->sibling = nullptr;
      out = out ? meld(out, merged) : merged;
      merged = rest;
    }
    return out;
  }

  node* root_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
