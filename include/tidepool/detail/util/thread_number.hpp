// SPDX-License-Identifier: BSL-1.0
// tidepool - a small number for each running thread.
#ifndef TIDEPOOL_DETAIL_UTIL_THREAD_NUMBER_HPP
#define TIDEPOOL_DETAIL_UTIL_THREAD_NUMBER_HPP

#include <atomic>
#include <bit>
#include <cstdint>

#include "../../version.hpp"
#include "attributes.hpp"
#include "visibility.hpp"

/// MinGW frees a thread's variables before it destroys them (emulated TLS), so there the number is kept with what libstdc++ itself uses.
#if defined(__MINGW32__) && defined(__GLIBCXX__)
#include <bits/gthr.h>
#define TIDEPOOL_THREAD_END_BY_KEY 1
#else
#define TIDEPOOL_THREAD_END_BY_KEY 0
#endif

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

  TIDEPOOL_NOINLINE static void enter(place& mine) noexcept {
    mine = {claim(), &used()};
    if (mine.number < most) release_at_exit(mine);
  }
#if TIDEPOOL_THREAD_END_BY_KEY
  struct key {
    key() noexcept : made(__gthread_key_create(&id, &ended) == 0) {}
    key(const key&) = delete;
    key& operator=(const key&) = delete;
    ~key() {
      if (made) __gthread_key_delete(id);  // a DLL may be unloaded before its threads end
    }
    __gthread_key_t id{};
    bool made;
  };
  static void release_at_exit(place& mine) noexcept {
    static const key numbers;
    if (numbers.made && __gthread_setspecific(numbers.id, reinterpret_cast<void*>(std::uintptr_t{mine.number} + 1)) == 0) return;
    release(mine.number);
    mine.number = none;
  }
  static void ended(void* value) noexcept { release(static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(value) - 1)); }
#else
  struct releaser {
    place& here;
    ~releaser() {
      release(here.number);
      here.number = none;
    }
  };
  static void release_at_exit(place& mine) noexcept { static thread_local const releaser at_exit{mine}; }
#endif
  static void release(unsigned number) noexcept { used().fetch_and(~(std::uint32_t{1} << number), std::memory_order_release); }
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
