// SPDX-License-Identifier: BSL-1.0
// tidepool - a small number for each running thread.
#ifndef TIDEPOOL_DETAIL_UTIL_THREAD_NUMBER_HPP
#define TIDEPOOL_DETAIL_UTIL_THREAD_NUMBER_HPP

#include <atomic>
#include <bit>
#include <cstdint>

#include "../../version.hpp"
#include "visibility.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A small number for each running thread, unique until the thread ends; `none` when there are too many threads.
///
/// Unique within one registry of numbers. A program has one; but a shared object may have its own copy of everything that a header defines
/// (hidden visibility, plugins), and so a registry of its own: then two threads may have the same number, and one thread two.
class TIDEPOOL_EXPORT thread_number {
 public:
  static constexpr unsigned most = 32;
  static constexpr unsigned none = most;

  /// A number is unique only within its registry, so both are kept together.
  struct place {
    unsigned number = unknown;
    const void* registry = nullptr;
  };
  static const place& here() noexcept {
    static constinit thread_local place mine;
    if (mine.number == unknown) enter(mine);
    return mine;
  }
  static unsigned mine() noexcept { return here().number; }

 private:
  static constexpr unsigned unknown = most + 1;

  struct release {
    place& here;
    explicit release(place& of) noexcept : here(of) {}
    ~release() {
      if (here.number < most) used().fetch_and(~(std::uint32_t{1} << here.number), std::memory_order_release);
      here.number = none;
    }
  };
  [[gnu::noinline]] static void enter(place& mine) noexcept {
    mine = {claim(), &used()};
    static thread_local const release at_exit{mine};
  }
  static std::atomic<std::uint32_t>& used() noexcept {
    static std::atomic<std::uint32_t> bits{0};
    return bits;
  }
  static unsigned claim() noexcept {
    std::uint32_t bits = used().load(std::memory_order_relaxed);
    for (;;) {
      const auto free = static_cast<unsigned>(std::countr_one(bits));
      if (free >= most) return none;
      if (used().compare_exchange_weak(bits, bits | std::uint32_t{1} << free, std::memory_order_acquire, std::memory_order_relaxed))
        return free;
    }
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
