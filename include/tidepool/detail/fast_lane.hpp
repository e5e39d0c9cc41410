// tidepool - leases given back are parked where their thread finds them again, without the pool's lock.
//
// Threads that meet at one lock, or on one cache line, hold a pool at a few million acquires a second. Here each thread has a stripe of its
// own (as far as there are stripes), which is taken and filled by exchange. What is parked is still leased as far as the core knows;
// whoever needs to see every idle connection shuts the lane and collects. Source of the idea: the thread-affine bag of HikariCP (B.
// Wooldridge).
#ifndef TIDEPOOL_DETAIL_FAST_LANE_HPP
#define TIDEPOOL_DETAIL_FAST_LANE_HPP

#include <array>
#include <atomic>
#include <cstddef>

namespace tidepool::detail {

/// A value written by one thread at a time and looked at by others whenever they like.
template <class T>
class relaxed {
 public:
  relaxed() noexcept : value_(T{}) {}
  relaxed& operator=(T value) noexcept {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  operator T() const noexcept { return value_.load(std::memory_order_relaxed); }
  static constexpr bool free = std::atomic<T>::is_always_lock_free;

 private:
  std::atomic<T> value_;
};

template <class Slot>
class fast_lane {
 public:
  bool open() const noexcept { return open_.load(std::memory_order_acquire); }
  /// Under the pool's lock.
  void admit() noexcept { open_.store(true, std::memory_order_release); }
  /// Under the pool's lock; from here on nothing stays parked that `collect()` does not see. The store here and the look at the stripes
  /// there, against the exchange and the look at `open_` in `park()`, are sequentially consistent (Dekker): one sees the other.
  void shut() noexcept { open_.store(false, std::memory_order_seq_cst); }

  /// What this thread parked last, or null.
  Slot* take() noexcept {
    auto& mine = stripe();
    if (mine.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return mine.exchange(nullptr, std::memory_order_acquire);
  }
  bool has_room() noexcept { return stripe().load(std::memory_order_relaxed) == nullptr; }
  /// Null: parked. Otherwise what has to be given back under the lock instead, which need not be `slot`: threads may share a stripe.
  Slot* park(Slot& slot) noexcept {
    auto& mine = stripe();
    Slot* empty = nullptr;
    if (!mine.compare_exchange_strong(empty, &slot, std::memory_order_seq_cst, std::memory_order_relaxed)) return &slot;
    if (open_.load(std::memory_order_seq_cst)) return nullptr;
    return mine.exchange(nullptr, std::memory_order_acq_rel);
  }
  template <class Each>
  void collect(Each each) noexcept {
    for (auto& one : stripes_) {
      if (one.slot.load(std::memory_order_seq_cst) == nullptr) continue;
      if (Slot* slot = one.slot.exchange(nullptr, std::memory_order_acq_rel)) each(*slot);
    }
  }

 private:
  static constexpr std::size_t stripes = 16;
  struct alignas(64) padded {
    std::atomic<Slot*> slot{nullptr};
  };
  std::atomic<Slot*>& stripe() noexcept { return stripes_[number_of_this_thread() % stripes].slot; }
  static unsigned number_of_this_thread() noexcept {
    static std::atomic<unsigned> threads{0};
    static thread_local unsigned number = 0;
    if (number == 0) number = threads.fetch_add(1, std::memory_order_relaxed) + 1;
    return number;
  }

  std::array<padded, stripes> stripes_;
  alignas(64) std::atomic<bool> open_{false};
};

}  // namespace tidepool::detail

#endif
