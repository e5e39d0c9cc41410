// SPDX-License-Identifier: BSL-1.0
// tidepool - a fixed ring of small events, which several threads write without a lock and anybody copies meanwhile.
//
// The memory is in chunks. A thread has one of them to itself, fills it, and takes the next one: so threads meet once in a chunk, not once
// in an event, and each gets as much of the memory as it writes. The oldest chunk is the next one that is taken, unless a thread is still
// filling it. So a thread that writes little may still have events of a time of which those of others are gone: the ring knows until when.
//
// An event is four words. The first is its tag, with its serial number; it is zeroed before the others are written and set after them, so a
// reader that finds the same tag before and after it has copied the others has an event in one piece.
#ifndef TIDEPOOL_DETAIL_UTIL_EVENT_RING_HPP
#define TIDEPOOL_DETAIL_UTIL_EVENT_RING_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../../version.hpp"
#include "attributes.hpp"
#include "thread_number.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// One event as it is written and read. What the words mean is its user's.
struct ring_event {
  std::uint32_t head = 0;   ///< not zero
  std::uint64_t first = 0;  ///< the time, about ascending within a thread
  std::uint64_t second = 0;
  std::uint64_t third = 0;
  std::uint64_t serial = 0;  ///< given by the ring: ascending within a thread
};

class event_ring {
  struct chunk;
  struct stripe;

 public:
  static constexpr std::size_t chunk_bytes = 2048;
  static constexpr std::size_t chunk_events = chunk_bytes / 32 - 2;
  static constexpr std::size_t least_bytes = 4 * chunk_bytes;

  /// All the memory that it ever has; rounded down to whole chunks, `least_bytes` at least.
  explicit event_ring(std::size_t bytes)
      : count_((std::max)(bytes, least_bytes) / chunk_bytes),
        stripes_in_use_(static_cast<unsigned>(std::min<std::size_t>(thread_number::most, count_ / 2 - 1))),
        chunks_(std::make_unique<chunk[]>(count_)) {}
  event_ring(const event_ring&) = delete;
  event_ring& operator=(const event_ring&) = delete;

  /// Any thread. Takes no lock, waits for nobody, allocates nothing.
  void write(std::uint32_t head, std::uint64_t first, std::uint64_t second, std::uint64_t third) noexcept {
    const thread_number::place& me = thread_number::here();
    if (me.number < stripes_in_use_) {
      stripe& mine = stripes_[me.number];
      if (mine.registry.load(std::memory_order_relaxed) == me.registry || mine.settle(me.registry))
        return write_to(mine, head, first, second, third);
    }
    write_shared(head, first, second, third);
  }

  struct contents {
    std::vector<ring_event> events;  ///< in no order
    std::uint64_t lost = 0;          ///< overwritten by later ones, or not written because a shared chunk was in use
    std::uint64_t lost_until = 0;    ///< the time of the latest one that was overwritten; 0: none was
    std::uint64_t torn = 0;          ///< left out because they were being written
  };
  /// What is in it now, while others go on to write. Throws std::bad_alloc.
  contents read() const {
    contents out;
    out.events.reserve(count_ * chunk_events);
    for (std::size_t c = 0; c < count_; ++c) {
      const chunk& from = chunks_[c];
      const std::uint64_t number = from.number.load(std::memory_order_acquire);
      if (number == 0) continue;
      for (std::size_t i = 0; i < chunk_events; ++i) {
        const std::uint64_t serial = serial_of(number, i);
        const words& e = from.entries[i];
        const std::uint64_t tag = e[0].load(std::memory_order_acquire);
        if (tag == 0) {
          out.torn += from.begun.load(std::memory_order_relaxed) > i;
          continue;
        }
        // Of an earlier filling, which is lost, or of a later one, which comes too late for this copy.
        if (static_cast<std::uint32_t>(tag) != static_cast<std::uint32_t>(serial)) continue;
        ring_event found;
        found.head = static_cast<std::uint32_t>(tag >> 32);
        found.first = e[1].load(std::memory_order_acquire);
        found.second = e[2].load(std::memory_order_acquire);
        found.third = e[3].load(std::memory_order_acquire);
        found.serial = serial;
        if (e[0].load(std::memory_order_relaxed) == tag) {
          out.events.push_back(found);
        } else {
          ++out.torn;
        }
      }
    }
    // After the events: what was overwritten meanwhile counts.
    out.lost = lost_.load(std::memory_order_relaxed);
    out.lost_until = lost_until_.load(std::memory_order_acquire);
    return out;
  }

  /// How many events it holds at most.
  std::size_t capacity() const noexcept { return count_ * chunk_events; }

 private:
  using words = std::array<std::atomic<std::uint64_t>, 4>;

  struct alignas(64) chunk {
    std::atomic<std::uint64_t> number{0};  // of this filling; 0: never used
    std::atomic<std::size_t> begun{0};     // events of this filling that were begun
    std::atomic<bool> taken{false};        // a stripe fills it
    alignas(64) std::array<words, chunk_events> entries{};
  };
  static_assert(sizeof(chunk) == chunk_bytes);

  /// What one thread at a time uses: no two have one number at once. Atomic, because the number goes from one thread to another.
  struct alignas(64) stripe {
    std::atomic<chunk*> filling{nullptr};
    std::atomic<std::size_t> written{0};
    std::atomic<const void*> registry{nullptr};
    std::atomic<bool> in_use{false};  // of the shared one

    /// Bound to the first registry of numbers that it meets, as a stripe of the stash is.
    TIDEPOOL_NOINLINE bool settle(const void* whose) noexcept {
      const void* nobody = nullptr;
      return registry.compare_exchange_strong(nobody, whose, std::memory_order_relaxed);
    }
  };

  static constexpr std::uint64_t serial_of(std::uint64_t number, std::size_t i) noexcept { return number * chunk_events + i; }

  void write_to(stripe& mine, std::uint32_t head, std::uint64_t first, std::uint64_t second, std::uint64_t third) noexcept {
    chunk* into = mine.filling.load(std::memory_order_relaxed);
    std::size_t i = mine.written.load(std::memory_order_relaxed);
    if (!into || i == chunk_events) {
      into = next_chunk(mine, into);
      if (!into) return;
      i = 0;
    }
    mine.written.store(i + 1, std::memory_order_relaxed);
    into->begun.store(i + 1, std::memory_order_relaxed);
    words& e = into->entries[i];
    const std::uint64_t serial = serial_of(into->number.load(std::memory_order_relaxed), i);
    // Each store is a release: who sees one of the words sees the tag gone, or the next one.
    e[0].store(0, std::memory_order_relaxed);
    e[1].store(first, std::memory_order_release);
    e[2].store(second, std::memory_order_release);
    e[3].store(third, std::memory_order_release);
    e[0].store(std::uint64_t{head} << 32 | static_cast<std::uint32_t>(serial), std::memory_order_release);
  }
  /// Null, and the event is lost: every chunk is being filled, which only happens to more threads than there are chunks.
  TIDEPOOL_NOINLINE chunk* next_chunk(stripe& mine, chunk* full) noexcept {
    for (std::size_t tries = 0; tries < count_; ++tries) {
      const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
      chunk& next = chunks_[number % count_];
      if (next.taken.exchange(true, std::memory_order_acquire)) continue;
      if (next.number.load(std::memory_order_relaxed) != 0) forget(next);
      next.begun.store(0, std::memory_order_relaxed);
      next.number.store(number, std::memory_order_release);
      mine.filling.store(&next, std::memory_order_relaxed);
      mine.written.store(0, std::memory_order_relaxed);
      if (full) full->taken.store(false, std::memory_order_release);
      return &next;
    }
    lost_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  /// Before it is filled anew.
  void forget(const chunk& old) noexcept {
    std::uint64_t latest = 0;
    for (const words& e : old.entries) latest = (std::max)(latest, e[1].load(std::memory_order_relaxed));
    std::uint64_t known = lost_until_.load(std::memory_order_relaxed);
    while (known < latest && !lost_until_.compare_exchange_weak(known, latest, std::memory_order_release, std::memory_order_relaxed)) {
    }
    lost_.fetch_add(chunk_events, std::memory_order_relaxed);
  }
  /// For threads without a stripe. Nobody is waited for: one that meets another too often loses its event.
  TIDEPOOL_NOINLINE void write_shared(std::uint32_t head, std::uint64_t first, std::uint64_t second, std::uint64_t third) noexcept {
    stripe& shared = stripes_[thread_number::most];
    for (int tries = 0; tries < 1000; ++tries) {
      if (shared.in_use.exchange(true, std::memory_order_acquire)) continue;
      write_to(shared, head, first, second, third);
      return shared.in_use.store(false, std::memory_order_release);
    }
    lost_.fetch_add(1, std::memory_order_relaxed);
  }

  const std::size_t count_;
  const unsigned stripes_in_use_;
  const std::unique_ptr<chunk[]> chunks_;
  alignas(64) std::atomic<std::uint64_t> next_{1};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> lost_until_{0};
  std::array<stripe, thread_number::most + 1> stripes_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
