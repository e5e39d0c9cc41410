// tidepool - when the pool may connect: one back-off with jitter for the whole pool, and the breaker.
//
// Attempts in flight together fail together when the server is away. They count as one failure (a wave), or four connects
// against a dead host would use up four retries in one instant.
#ifndef TIDEPOOL_DETAIL_CONNECT_GATE_HPP
#define TIDEPOOL_DETAIL_CONNECT_GATE_HPP

#include <algorithm>
#include <cstdint>

#include "../config.hpp"
#include "../error.hpp"
#include "../policy/breaker.hpp"
#include "random.hpp"

namespace tidepool::detail {

template <class Breaker>
class connect_gate {
 public:
  explicit connect_gate(const pool_config& config) : breaker_(config), first_(config.retry_delay), longest_(config.max_retry_delay) {}

  bool may_start(tick now, std::size_t connecting) const noexcept {
    if (now < permanent_until_) return false;
    if constexpr (Breaker::enabled) {
      if (breaker_.state() != breaker_state::closed) return breaker_.allows(now, connecting);
    }
    return now >= not_before_;
  }
  /// When time alone will let a connect start; `never` while that hangs on an attempt in flight.
  tick opens_at(std::size_t connecting) const noexcept {
    if constexpr (Breaker::enabled) {
      if (breaker_.state() != breaker_state::closed) return connecting ? never : std::max(breaker_.retry_at(), permanent_until_);
    }
    return std::max(not_before_, permanent_until_);
  }
  /// Why a caller who depends on a connect has nothing to wait for, or zero.
  errc refusal(tick now) const noexcept {
    if (now < permanent_until_) return errc::connect_failed;
    if constexpr (Breaker::enabled) {
      if (!breaker_.allows(now, 0)) return errc::circuit_open;
    }
    return errc{};
  }

  void started() noexcept {
    if constexpr (Breaker::enabled) breaker_.started();
  }
  /// The wave an attempt that starts now belongs to.
  std::uint32_t wave() const noexcept { return wave_; }
  void succeeded() noexcept {
    streak_ = 0;
    not_before_ = permanent_until_ = tick{};
    if constexpr (Breaker::enabled) breaker_.succeeded();
  }
  void failed(std::uint32_t wave, failure_kind kind, tick now, splitmix& random) noexcept {
    if (kind == failure_kind::permanent) permanent_until_ = later(now, std::max<duration>(std::chrono::seconds(5), first_));
    if (wave != wave_) return;
    ++wave_;
    ++total_;
    ++streak_;
    // Equal jitter: half of the exponential delay is certain, half is random, so that many pools do not retry in step.
    duration delay = first_;
    for (std::size_t i = 1; i < streak_ && delay < longest_; ++i) delay = std::min(longest_, delay * 2);
    not_before_ = later(now, delay / 2 + duration(static_cast<duration::rep>(static_cast<double>(delay.count()) / 2 * random.unit())));
    if constexpr (Breaker::enabled) {
      kind == failure_kind::server_full ? breaker_.undecided(now) : breaker_.failed(now);
    }
  }
  /// An attempt the pool itself gave up.
  void abandoned([[maybe_unused]] tick now) noexcept {
    if constexpr (Breaker::enabled) breaker_.undecided(now);
  }

  /// Failures ever, one a wave.
  std::uint64_t total() const noexcept { return total_; }
  /// Failures since the last success.
  std::size_t streak() const noexcept { return streak_; }
  breaker_state state() const noexcept {
    if constexpr (Breaker::enabled) return breaker_.state();
    return breaker_state::closed;
  }

 private:
  [[no_unique_address]] Breaker breaker_;
  duration first_;
  duration longest_;
  tick not_before_{};
  tick permanent_until_{};
  std::uint64_t total_ = 0;
  std::size_t streak_ = 0;
  std::uint32_t wave_ = 1;
};

}  // namespace tidepool::detail

#endif
