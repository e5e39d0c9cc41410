// SPDX-License-Identifier: BSL-1.0
// tidepool - a sample of the load that a pool had, for advice on its size.
#ifndef TIDEPOOL_DETAIL_CORE_LOAD_RECORD_HPP
#define TIDEPOOL_DETAIL_CORE_LOAD_RECORD_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/random.hpp"
#include "../util/smaller.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What happened between two looks at the pool.
struct load_window {
  float seconds = 0;
  std::uint32_t arrivals = 0;   ///< acquires, whatever came of them
  std::uint32_t in_system = 0;  ///< at its end: leases, and callers that wait
};

/// Sums over looks, from which follows how much the leases at one moment vary around arrivals times hold: more than those of independent
/// callers do, where these come in bursts.
struct load_moments {
  void add(double rate, double in_system) noexcept {
    if (looks >= memory) {  // what is long ago counts less and less
      for (double* sum : {&looks, &rates, &squares, &products, &rate_squares}) *sum *= 1 - 1 / memory;
    }
    looks += 1;
    rates += rate;
    squares += in_system * in_system;
    products += in_system * rate;
    rate_squares += rate * rate;
  }
  /// Variance over that of independent callers, with this mean hold time in seconds.
  double burstiness(double hold) const noexcept {
    const double expected = rates * hold;
    return expected > 0 ? (squares - 2 * hold * products + hold * hold * rate_squares) / expected : 1.0;
  }

  static constexpr double memory = 8640;  ///< looks: a day of windows of ten seconds
  double looks = 0;
  double rates = 0;
  double squares = 0;
  double products = 0;
  double rate_squares = 0;
};

/// Windows in blocks of eight that follow each other. When it is full, a new block replaces one at random, such that it is an even sample
/// of the latest day or two, if a window is ten seconds. Its random numbers are its own.
class load_record {
 public:
  static constexpr std::size_t block = 8;
  static constexpr std::size_t blocks = 96;
  static constexpr std::uint64_t memory = 1080;  ///< blocks: a day of windows of ten seconds

  /// `max_size`: the pool's at that time.
  void add(const load_window& window, std::size_t max_size) noexcept {
    const double rate = window.arrivals / static_cast<double>(window.seconds);
    all_.add(rate, window.in_system);
    if (window.in_system <= max_size) unqueued_.add(rate, window.in_system);
    if (filled_ == 0) latest_ = {};
    latest_[filled_++] = window;
    if (filled_ < block) return;
    filled_ = 0;
    const std::uint64_t seen = ++seen_;
    std::size_t place = static_cast<std::size_t>(seen - 1);
    if (seen > blocks) place = static_cast<std::size_t>(random_() % smaller_of(seen, memory));
    if (place < blocks) kept_[place] = latest_;
  }

  /// How many blocks there are, the one that is not full yet included.
  std::size_t size() const noexcept { return static_cast<std::size_t>(smaller_of(seen_, std::uint64_t{blocks})) + (filled_ > 0); }
  /// The windows of a block; those without a length are not filled.
  const std::array<load_window, block>& operator[](std::size_t i) const noexcept {
    return filled_ > 0 && i + 1 == size() ? latest_ : kept_[i];
  }
  /// A queue at more than one look of fifty: it tells of the pool's size, not of bursts, and those looks do not count.
  bool queued() const noexcept { return all_.looks - unqueued_.looks > all_.looks / 50; }
  /// See `load_moments`.
  double burstiness(double hold) const noexcept { return (queued() ? unqueued_ : all_).burstiness(hold); }

 private:
  std::array<std::array<load_window, block>, blocks> kept_{};
  std::array<load_window, block> latest_{};
  std::size_t filled_ = 0;
  std::uint64_t seen_ = 0;
  load_moments all_;
  load_moments unqueued_;
  splitmix random_{0x7469646570006f6c};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
