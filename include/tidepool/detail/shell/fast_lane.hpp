// SPDX-License-Identifier: BSL-1.0
// tidepool - leases given back are parked where their thread finds them again, without the pool's lock.
//
// Threads that meet at one lock, or on one cache line, hold a pool at a few million acquires a second. Here each thread has a stripe of its
// own, which is taken and filled by exchange. What is parked is still leased as far as the core knows;
// whoever needs to see every idle connection shuts the lane and collects. Source of the idea: the thread-affine bag of HikariCP (B.
// Wooldridge).
#ifndef TIDEPOOL_DETAIL_SHELL_FAST_LANE_HPP
#define TIDEPOOL_DETAIL_SHELL_FAST_LANE_HPP

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>

#include "../../version.hpp"
#include "../util/visibility.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A value written by one thread at a time and looked at by others whenever they like; plain where that takes more than an instruction
/// (then nothing is parked, and all is done under the lock).
template <class T>
class relaxed {
 public:
  static constexpr bool free = std::atomic<T>::is_always_lock_free;

  relaxed() noexcept : value_(T{}) {}
  relaxed& operator=(T value) noexcept {
    if constexpr (free) {
      value_.store(value, std::memory_order_relaxed);
    } else {
      value_ = value;
    }
    return *this;
  }
  operator T() const noexcept {
    if constexpr (free) return value_.load(std::memory_order_relaxed);
    return value_;
  }

 private:
  std::conditional_t<free, std::atomic<T>, T> value_;
};

/// A small number for each thread alive, its own for as long as it lives; `none` when there are too many.
///
/// Unique in one book of numbers. A program has one; but a shared object may come to have its own copy of everything that a header defines
/// (hidden visibility, and plugins), and with it a book of its own: then two threads have the same number, and one thread has two.
class TIDEPOOL_EXPORT thread_number {
 public:
  static constexpr unsigned most = 32;
  static constexpr unsigned none = most;

  /// Number and book belong together, so they are kept together.
  struct place {
    unsigned number = unknown;
    const void* book = nullptr;
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

/// How often a lane has been opened and shut: odd while it is open.
struct lane_epoch {
  using epoch = std::uint32_t;
  static constexpr bool is_open(epoch e) noexcept { return e % 2 != 0; }
};

template <class Slot>
class fast_lane : public lane_epoch {
 public:
  /// What a parker has put into the lane another thread may collect, and then be done with the pool, before the parker has left `park()`.
  ~fast_lane() {
    for (auto& one : stripes_) {
      while (one.parking.load(std::memory_order_acquire)) std::this_thread::yield();
    }
  }

  epoch now() const noexcept { return epoch_.load(std::memory_order_acquire); }
  bool open() const noexcept { return is_open(now()); }
  /// Under the pool's lock, while it is shut.
  void admit() noexcept { epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  /// Under the pool's lock, while it is open; from here on nothing stays parked that `collect()` does not see. The store here and the look
  /// at the stripes there, against the exchange and the look at `epoch_` in `park()`, are sequentially consistent (Dekker): one sees the
  /// other.
  void shut() noexcept { epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst); }

  /// What this thread parked last, or null.
  Slot* take() noexcept {
    const unsigned number = thread_number::mine();
    if (number == thread_number::none) return nullptr;
    auto& mine = stripes_[number].slot;
    if (mine.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return mine.exchange(nullptr, std::memory_order_acquire);
  }

  class stripe;
  /// Where this thread may park, or null. Until it has left `park()` nobody else parks there.
  stripe* room() noexcept {
    const auto& me = thread_number::here();
    if (me.number == thread_number::none) return nullptr;
    stripe& mine = stripes_[me.number];
    if (mine.slot.load(std::memory_order_relaxed) != nullptr) return nullptr;
    if (mine.book.load(std::memory_order_relaxed) != me.book && !mine.settle(me.book)) return nullptr;
    return &mine;
  }
  /// With room. `seen` is what the caller found before it looked whether the slot may be parked. False: the stripe is full or the lane has
  /// been shut since, and the slot is the caller's again. True: this object may be gone by now.
  bool park(stripe& mine, Slot& slot, epoch seen) noexcept {
    mine.parking.store(true, std::memory_order_relaxed);
    Slot* empty = nullptr;  // never over another one, which would be lost
    const bool kept = mine.slot.compare_exchange_strong(empty, &slot, std::memory_order_seq_cst, std::memory_order_relaxed) &&
                      (epoch_.load(std::memory_order_seq_cst) == seen || mine.slot.exchange(nullptr, std::memory_order_acq_rel) == nullptr);
    mine.parking.store(false, std::memory_order_release);
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
class alignas(64) fast_lane<Slot>::stripe {
  friend fast_lane;

  /// It belongs to the book of numbers that came first, for good: with numbers of two books two threads would be here at once.
  [[gnu::noinline]] bool settle(const void* whose) noexcept {
    const void* nobody = nullptr;
    return book.compare_exchange_strong(nobody, whose, std::memory_order_relaxed);
  }

  std::atomic<Slot*> slot{nullptr};  // filled by its thread alone, emptied by anybody
  std::atomic<bool> parking{false};
  std::atomic<const void*> book{nullptr};
};

/// The same for a pool of one thread: one place, and nothing atomic.
template <class Slot>
class single_lane : public lane_epoch {
 public:
  epoch now() const noexcept { return epoch_; }
  bool open() const noexcept { return is_open(epoch_); }
  void admit() noexcept { ++epoch_; }
  void shut() noexcept { ++epoch_; }

  Slot* take() noexcept { return std::exchange(slot_, nullptr); }
  struct stripe {};
  stripe* room() noexcept { return slot_ == nullptr ? &all_ : nullptr; }
  bool park(stripe&, Slot& slot, epoch seen) noexcept {
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
  [[no_unique_address]] stripe all_;
  epoch epoch_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
