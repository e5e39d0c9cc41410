// SPDX-License-Identifier: BSL-1.0
// tidepool - the stash: leases given back are kept where their thread finds them again, without the pool's lock.
//
// Threads that meet at one lock, or on one cache line, hold a pool at a few million acquires a second. Here each thread has a stripe of its
// own, which is taken and filled by exchange. What is stashed is still leased as far as the core knows;
// who needs to see every idle connection closes the stash and collects. Source of the idea: the thread-affine bag of HikariCP (B.
// Wooldridge).
#ifndef TIDEPOOL_DETAIL_SHELL_STASH_HPP
#define TIDEPOOL_DETAIL_SHELL_STASH_HPP

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "../util/thread_number.hpp"
#include "../util/yield.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// How often a stash has been opened and closed: odd while it is open.
struct stash_epoch {
  using epoch = std::uint32_t;
  static constexpr bool was_open(epoch e) noexcept { return e % 2 != 0; }
};

template <class Slot>
class stash : public stash_epoch {
 public:
  /// What a thread has put into the stash another thread may collect, and then be done with the pool, before the thread has left `put()`.
  ~stash() {
    for (auto& one : stripes_) {
      while (one.putting.load(std::memory_order_acquire)) yield_thread();
    }
  }

  epoch now() const noexcept { return epoch_.load(std::memory_order_acquire); }
  bool is_open() const noexcept { return was_open(now()); }
  /// Under the pool's lock, while it is closed.
  void open() noexcept { epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  /// Under the pool's lock, while it is open; from here on nothing stays stashed that `collect()` does not see. The store here and the look
  /// at the stripes there, against the exchange and the look at `epoch_` in `put()`, are sequentially consistent (Dekker): one sees the
  /// other.
  void close() noexcept { epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst); }

  /// What this thread put here last, or null.
  Slot* take() noexcept {
    const unsigned number = thread_number::mine();
    if (number == thread_number::none) return nullptr;
    auto& mine = stripes_[number].slot;
    if (mine.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return mine.exchange(nullptr, std::memory_order_acquire);
  }

  class stripe;
  /// Where this thread may put a slot, or null. Until it has left `put()` no other thread puts one there.
  stripe* place(const thread_number::place& me = thread_number::here()) noexcept {
    if (me.number == thread_number::none) return nullptr;
    stripe& mine = stripes_[me.number];
    if (mine.slot.load(std::memory_order_relaxed) != nullptr) return nullptr;
    if (mine.registry.load(std::memory_order_relaxed) != me.registry && !mine.settle(me.registry)) return nullptr;
    return &mine;
  }
  /// With a place. `seen` is what the caller found before it looked whether the slot may be stashed. False: the stripe is full or the stash
  /// has been closed since, and the slot is the caller's again. True: this object may be gone by now.
  bool put(stripe& mine, Slot& slot, epoch seen) noexcept {
    mine.putting.store(true, std::memory_order_relaxed);
    Slot* empty = nullptr;  // never over another one, which would be lost
    const bool kept = mine.slot.compare_exchange_strong(empty, &slot, std::memory_order_seq_cst, std::memory_order_relaxed) &&
                      (epoch_.load(std::memory_order_seq_cst) == seen || mine.slot.exchange(nullptr, std::memory_order_acq_rel) == nullptr);
    mine.putting.store(false, std::memory_order_release);
    return kept;
  }
  template <class Each>
  void collect(Each each) noexcept {
    for (auto& one : stripes_) {
      if (one.slot.load(std::memory_order_seq_cst) == nullptr) continue;
      if (Slot* slot = one.slot.exchange(nullptr, std::memory_order_acq_rel)) each(*slot);
    }
  }

 private:
  std::array<stripe, thread_number::most> stripes_;
  alignas(64) std::atomic<epoch> epoch_{0};
};

template <class Slot>
class alignas(64) stash<Slot>::stripe {
  friend stash;

  /// It is bound to the first registry that it meets, for good: with numbers of two registries two threads could use it at once.
  TIDEPOOL_NOINLINE bool settle(const void* whose) noexcept {
    const void* nobody = nullptr;
    return registry.compare_exchange_strong(nobody, whose, std::memory_order_relaxed);
  }

  std::atomic<Slot*> slot{nullptr};  // filled by its thread alone, emptied by anybody
  std::atomic<bool> putting{false};
  std::atomic<const void*> registry{nullptr};
};

/// The same for a pool of one thread: one place, and nothing atomic.
template <class Slot>
class single_stash : public stash_epoch {
 public:
  epoch now() const noexcept { return epoch_; }
  bool is_open() const noexcept { return was_open(epoch_); }
  void open() noexcept { ++epoch_; }
  void close() noexcept { ++epoch_; }

  Slot* take() noexcept { return std::exchange(slot_, nullptr); }
  struct stripe {};
  stripe* place() noexcept { return slot_ == nullptr ? &all_ : nullptr; }
  bool put(stripe&, Slot& slot, epoch seen) noexcept {
    if (epoch_ != seen) return false;
    slot_ = &slot;
    return true;
  }
  template <class Each>
  void collect(Each each) noexcept {
    if (Slot* slot = take()) each(*slot);
  }

 private:
  Slot* slot_ = nullptr;
  TIDEPOOL_NO_UNIQUE_ADDRESS stripe all_;
  epoch epoch_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
