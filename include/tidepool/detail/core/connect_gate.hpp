// SPDX-License-Identifier: BSL-1.0
// tidepool - when the pool may connect, and for whom waiting is pointless: one back-off for the whole pool, and the breaker.
//
// How soon the pool looks again and how long a caller may hope are two questions. What a failed connect means for both:
//
//   kind         next look                  breaker  max_retries  callers               open()
//   transient    back-off                   counts   counts       until either says no  until max_retries
//   permanent    back-off, 5 s at least     counts   counts       refused until then    closes the pool
//   server_full  back-off                   closes   starts over  their own timeout     its own timeout
//   starting     100-200 ms, never longer   closes   starts over  their own timeout     its own timeout
//   wrong_role   100-200 ms, never longer   closes   starts over  their own timeout     its own timeout
//   refused      100-200 ms, never longer   closes   starts over  their own timeout     its own timeout
//
// Back-off: `retry_delay`, doubled up to `max_retry_delay`, half of it at random. In the last four rows a host has answered, so that there
// is nothing to protect by a breaker, and the reason passes by itself. With `wait_when_refused` off a refusal counts as transient. After
// any failure one connect at a time is made.
//
// Attempts in flight together fail together when the server is away. They count as one failure (a wave), or four connects
// against a dead host would use up four retries in one instant.
//
// A connection that is lost before it served anybody counts as a transient failure (`died_unserved`). From then on a connect that
// succeeds proves nothing: only a connection that serves (`proved`), or that lasts, ends the row of failures.
#ifndef TIDEPOOL_DETAIL_CORE_CONNECT_GATE_HPP
#define TIDEPOOL_DETAIL_CORE_CONNECT_GATE_HPP

#include <algorithm>
#include <cstdint>
#include <utility>

#include "../../config.hpp"
#include "../../error.hpp"
#include "../../policy/breaker.hpp"
#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "../util/random.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Breaker>
class connect_gate {
 public:
  explicit connect_gate(const pool_config& config)
      : breaker_(config), first_(config.retry_delay), longest_(config.max_retry_delay), waits_when_refused_(config.wait_when_refused) {}

  /// A pause that has begun ends no later than the new longest one would.
  void reconfigure(const pool_config& config, tick now) noexcept {
    if constexpr (Breaker::enabled) reconfigure_policy(breaker_, config);
    first_ = config.retry_delay;
    longest_ = config.max_retry_delay;
    waits_when_refused_ = config.wait_when_refused;
    not_before_ = (std::min)(not_before_, later(now, longest_));
  }

  bool may_start(tick now, std::size_t connecting) const noexcept {
    if (now < permanent_until_ || (doubtful_ && now < not_before_)) return false;
    if constexpr (Breaker::enabled) {
      if (breaker_.state() != breaker_state::closed) return breaker_.allows(now, connecting);
    }
    return now >= not_before_;
  }
  /// When time alone will let a connect start; `never` while that hangs on an attempt in flight.
  tick opens_at(std::size_t connecting) const noexcept {
    if constexpr (Breaker::enabled) {
      if (breaker_.state() != breaker_state::closed) {
        return connecting ? never : (std::max)({breaker_.retry_at(), permanent_until_, doubtful_ ? not_before_ : tick{}});
      }
    }
    return (std::max)(not_before_, permanent_until_);
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
  void succeeded(tick now) noexcept {
    permanent_until_ = tick{};
    if (!doubtful_) return start_over();
    not_before_ = later(now, pause_);  // the next one has to wait for what becomes of this one
    if (calm_from_ == never) calm_from_ = later(now, longest_);
  }
  void failed(std::uint32_t wave, failure_kind kind, tick now, splitmix& random) noexcept {
    if (kind == failure_kind::permanent) permanent_until_ = later(now, std::max<duration>(std::chrono::seconds(5), first_));
    if (wave != wave_) {
      ++together_;
      return;
    }
    ++wave_;
    together_ = 1;
    note_news(kind, now);
    if (streak_++ == 0) since_ = now;
    alike_ = streak_ > 1 && kind == kind_ ? alike_ + 1 : 1;
    kind_ = kind;
    calm_from_ = never;
    duration delay = std::min<duration>(first_, look_);
    if (passes_by_itself(kind) && kind != failure_kind::server_full) {
      steps_ = 0;
    } else {
      delay = first_;
      for (std::size_t i = 0; i < steps_ && delay < longest_; ++i) delay = (std::min)(longest_, delay * 2);
      ++steps_;
    }
    // Equal jitter: half of the delay is certain, half is random, so that many pools do not retry in step.
    pause_ = delay / 2 + duration(static_cast<duration::rep>(static_cast<double>(delay.count()) / 2 * random.unit()));
    not_before_ = later(now, pause_);
    if (passes_by_itself(kind)) {
      futile_ = 0;
      if constexpr (Breaker::enabled) breaker_.succeeded();
    } else {
      ++futile_;
      ++total_;
      if constexpr (Breaker::enabled) breaker_.failed(now);
    }
  }
  /// A connection of this wave was lost before it served anybody. False: the wave has been counted.
  bool died_unserved(std::uint32_t wave, tick now, splitmix& random) noexcept {
    if (wave != wave_) return false;
    doubtful_ = true;
    failed(wave, failure_kind::transient, now, random);
    return true;
  }
  /// A connection served.
  void proved() noexcept {
    if (std::exchange(doubtful_, false)) start_over();
  }
  bool doubtful() const noexcept { return doubtful_; }
  /// When the doubt ends although nobody has been served: nothing was lost for so long after a connect.
  tick doubt_ends() const noexcept { return doubtful_ ? calm_from_ : never; }
  /// An attempt the pool itself gave up.
  void abandoned([[maybe_unused]] tick now) noexcept {
    if constexpr (Breaker::enabled) breaker_.undecided(now);
  }

  /// Failures ever that callers count, one a wave.
  std::uint64_t total() const noexcept { return total_; }
  /// Of these, in a row: since the last success, or since a server last answered.
  std::size_t futile() const noexcept { return futile_; }
  /// Failures of any kind since the last success.
  std::size_t streak() const noexcept { return streak_; }
  /// Means something while there is a streak, as does the next.
  failure_kind kind() const noexcept { return kind_; }
  /// Of the streak, the latest that were all of this kind.
  std::size_t alike() const noexcept { return alike_; }
  /// Of the latest wave, how many have failed.
  std::size_t together() const noexcept { return together_; }
  tick failing_since() const noexcept { return since_; }
  /// Of the latest failure: see `connect_failed_event::news`.
  bool news() const noexcept { return news_; }
  bool passes() const noexcept { return streak_ > 0 && passes_by_itself(kind_); }
  breaker_state state() const noexcept {
    if constexpr (Breaker::enabled) return breaker_.state();
    return breaker_state::closed;
  }

 private:
  void start_over() noexcept {
    streak_ = 0;
    not_before_ = permanent_until_ = tick{};
    steps_ = futile_ = 0;
    if constexpr (Breaker::enabled) breaker_.succeeded();
  }

  /// Before the failure is counted.
  void note_news(failure_kind kind, tick now) noexcept {
    constexpr duration first = std::chrono::seconds(10), longest = std::chrono::minutes(10);
    const auto bit = static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind));
    if (streak_ == 0) {
      kinds_ = 0;
      tell_at_ = later(now, first);
    }
    const bool due = now >= tell_at_;
    if (due) tell_at_ = later(now, std::clamp<duration>(now - since_, first, longest));
    news_ = due || (kinds_ & bit) == 0;
    kinds_ |= bit;
  }
  /// Whether the reason of a failed connect passes by itself: callers wait for that as long as they like.
  bool passes_by_itself(failure_kind kind) const noexcept {
    if (kind == failure_kind::refused) return waits_when_refused_;
    return kind == failure_kind::server_full || kind == failure_kind::starting || kind == failure_kind::wrong_role;
  }

  static constexpr duration look_ = std::chrono::milliseconds(200);  ///< longest pause where hosts answer and none fits yet

  TIDEPOOL_NO_UNIQUE_ADDRESS Breaker breaker_;
  duration first_;
  duration longest_;
  duration pause_{};  ///< the latest
  tick not_before_{};
  tick permanent_until_{};
  tick since_{};
  tick calm_from_ = never;
  tick tell_at_{};  ///< when the next failure is worth a line
  std::uint64_t total_ = 0;
  std::size_t streak_ = 0;
  std::size_t alike_ = 0;
  std::size_t futile_ = 0;
  std::size_t steps_ = 0;  ///< of the back-off
  std::uint32_t wave_ = 1;
  std::uint32_t together_ = 0;
  failure_kind kind_{};
  std::uint8_t kinds_ = 0;  ///< a bit for each kind in the streak
  bool news_ = false;
  bool waits_when_refused_;
  bool doubtful_ = false;  ///< connections were lost before they served, and none has served since
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
