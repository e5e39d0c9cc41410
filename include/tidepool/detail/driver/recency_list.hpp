// SPDX-License-Identifier: BSL-1.0
// tidepool - the prepared statements of one connection, least recently used first.
#ifndef TIDEPOOL_DETAIL_DRIVER_RECENCY_LIST_HPP
#define TIDEPOOL_DETAIL_DRIVER_RECENCY_LIST_HPP

#include <cstddef>
#include <iterator>
#include <list>
#include <unordered_map>
#include <utility>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// Entries by a hash, at most one for each; their addresses stay the same. Whether an entry is the one that is wanted is for the caller to
/// look at: `find` by a hash alone may give another one's.
template <class Entry>
class recency_list {
 public:
  std::size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  bool contains(std::size_t hash) const noexcept { return index_.contains(hash); }
  /// Null when there is none.
  Entry* find(std::size_t hash) noexcept {
    const auto at = index_.find(hash);
    return at == index_.end() ? nullptr : &*at->second;
  }
  /// Makes it the one that was used last; it has to be there.
  void use(std::size_t hash) noexcept { entries_.splice(entries_.end(), entries_, index_.find(hash)->second); }
  /// There must be none of this hash.
  Entry& insert(std::size_t hash, Entry&& made) {
    entries_.push_back(std::move(made));
    try {
      index_.emplace(hash, std::prev(entries_.end()));
    } catch (...) {
      entries_.pop_back();
      throw;
    }
    return entries_.back();
  }
  void erase(std::size_t hash) noexcept {
    const auto at = index_.find(hash);
    if (at == index_.end()) return;
    entries_.erase(at->second);
    index_.erase(at);
  }
  Entry& oldest() noexcept { return entries_.front(); }
  void clear() noexcept {
    index_.clear();
    entries_.clear();
  }
  auto begin() noexcept { return entries_.begin(); }
  auto end() noexcept { return entries_.end(); }

 private:
  struct as_it_is {
    std::size_t operator()(std::size_t hash) const noexcept { return hash; }
  };

  std::list<Entry> entries_;
  std::unordered_map<std::size_t, typename std::list<Entry>::iterator, as_it_is> index_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
