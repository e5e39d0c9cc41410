// SPDX-License-Identifier: BSL-1.0
// tidepool - remembers which addresses failed lately, so that they are tried last.
#ifndef TIDEPOOL_DETAIL_DRIVER_ADDRESS_MEMORY_HPP
#define TIDEPOOL_DETAIL_DRIVER_ADDRESS_MEMORY_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// How the last attempt at each address went, and which names could not be looked up, by their text. Shared by all connects of one
/// connector. Thread safe.
template <class = void>
class basic_address_memory {
 public:
  /// In the order in which they are tried. An unknown address counts as good; one that a pool's own validation refused is of the wrong
  /// role.
  enum class mark { good, wrong_role, failed };

  void remember(const std::string& where, mark what, duration span) {
    const auto now = clock::now();
    const auto until =
        span == no_limit ? clock::time_point::max() : now + std::chrono::duration_cast<clock::duration>(std::min<duration>(span, longest));
    const std::lock_guard lock(mutex_);
    // A name may have other addresses at each lookup, so the number of entries is bounded.
    if (known_.size() >= most_known) std::erase_if(known_, [&](const auto& each) { return each.second.until <= now; });
    if (known_.size() >= most_known) known_.clear();
    known_.insert_or_assign(where, entry{what, until});
  }
  void forget(const std::string& where) {
    const std::lock_guard lock(mutex_);
    known_.erase(where);
  }
  mark recall(const std::string& where) const {
    const std::lock_guard lock(mutex_);
    const auto at = known_.find(where);
    return at == known_.end() || at->second.until <= clock::now() ? mark::good : at->second.what;
  }

 private:
  struct entry {
    mark what;
    clock::time_point until;
  };
  static constexpr duration longest = std::chrono::hours(24);
  static constexpr std::size_t most_known = 1000;

  mutable std::mutex mutex_;
  std::map<std::string, entry> known_;
};
using address_memory = basic_address_memory<>;

/// Remembers one attempt as failed unless `settle()` says otherwise: also when it is cancelled, or its coroutine is destroyed.
template <class = void>
class basic_attempt_note {
 public:
  basic_attempt_note(std::shared_ptr<address_memory> memory, std::string where, duration span)
      : memory_(std::move(memory)), where_(std::move(where)), span_(span) {}
  basic_attempt_note(const basic_attempt_note&) = delete;
  basic_attempt_note& operator=(const basic_attempt_note&) = delete;
  ~basic_attempt_note() {
    if (settled_) return;
    try {
      memory_->remember(where_, address_memory::mark::failed, span_);
    } catch (...) {
      // No memory: it keeps its place in the order.
    }
  }
  void settle(address_memory::mark what, duration span = {}) {
    settled_ = true;
    if (what == address_memory::mark::good) {
      memory_->forget(where_);
    } else {
      memory_->remember(where_, what, span);
    }
  }

 private:
  std::shared_ptr<address_memory> memory_;
  std::string where_;
  duration span_;
  bool settled_ = false;
};
using attempt_note = basic_attempt_note<>;

/// IPv6 and IPv4 alternately, beginning with the family of the first address: where one family is unreachable, only every second attempt
/// fails.
template <class = void>
inline void interleave_families(std::vector<std::string>& addresses) {
  const auto is_v6 = [](const std::string& address) { return address.find(':') != std::string::npos; };
  if (addresses.empty()) return;
  const bool first = is_v6(addresses.front());
  std::vector<std::string> same, other, out;
  for (auto& address : addresses) (is_v6(address) == first ? same : other).push_back(std::move(address));
  for (std::size_t i = 0; i < std::max(same.size(), other.size()); ++i) {
    if (i < same.size()) out.push_back(std::move(same[i]));
    if (i < other.size()) out.push_back(std::move(other[i]));
  }
  addresses = std::move(out);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
