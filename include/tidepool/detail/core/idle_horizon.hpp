// SPDX-License-Identifier: BSL-1.0
// tidepool - learns from deaths for how long a connection may be without a word: a firewall, a NAT or a server drops it after that.
#ifndef TIDEPOOL_DETAIL_CORE_IDLE_HORIZON_HPP
#define TIDEPOOL_DETAIL_CORE_IDLE_HORIZON_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What is looked at is the silence of a connection when it was found dead, or alive. Deaths within a second of each other are one moment:
/// an outage ends all at once, whatever their silence. The latest `needed` moments make a horizon, at their shortest silence, where no
/// connection that was silent for longer has been found alive since the first of them, and
/// * their silences are the same within a tenth, as where the death is seen when it happens; or
/// * connections that were silent for at least a quarter as long were found alive meanwhile, as where it is seen later only.
/// Deaths that have nothing to do with silence meet neither: connections of longer silence live, or the silences differ.
class idle_horizon {
 public:
  static constexpr std::uint32_t needed = 8;
  static constexpr duration shortest = std::chrono::seconds(1);  ///< silences below say nothing

  /// Found alive after such a silence.
  void lived(duration silence) noexcept {
    if (silence < shortest) return;
    life& known = lives_[bucket(silence)];
    const auto seconds = std::chrono::duration<float>(silence).count();
    known.longest = known.after + needed > moments_ ? (std::max)(known.longest, seconds) : seconds;
    known.after = moments_ + 1;
  }
  /// Found dead. True: there is a horizon that was not known, or it has moved by a fifth.
  bool died(duration silence, tick now) noexcept {
    if (silence < shortest) return false;
    if (moments_ > 0 && now - last_death_ < std::chrono::seconds(1)) {
      duration& latest = silences_[(moments_ - 1) % needed];
      latest = (std::min)(latest, silence);
    } else {
      silences_[moments_ % needed] = silence;
      ++moments_;
    }
    last_death_ = now;
    return learn();
  }

  /// Connections that were silent for longer were dead; zero: none is known.
  duration horizon() const noexcept { return horizon_; }
  /// A connection should not be silent for longer: four fifths of that, and not longer than the longest that lived where deaths were seen
  /// late. `no_limit`: none is known.
  duration limit() const noexcept { return limit_; }

 private:
  /// Connections of a bucket that were found alive.
  struct life {
    std::uint32_t after = 0;  ///< so many moments of death less one the latest was; 0: none ever
    float longest = 0;        ///< seconds of silence, of those since the latest `needed` moments and perhaps somewhat before
  };
  static constexpr std::size_t buckets = 4 * 17;  ///< four an octave, from a second to 36 hours
  static std::size_t bucket(duration silence) noexcept {
    const auto quarters = static_cast<std::uint64_t>(silence / (shortest / 4));
    const auto octave = static_cast<std::size_t>(std::bit_width(quarters)) - 1;  // 2 or more
    return (std::min)((octave - 2) * 4 + static_cast<std::size_t>(quarters >> (octave - 2) & 3), buckets - 1);
  }
  bool lived_since(std::size_t from, std::size_t to, std::uint32_t moment) const noexcept {
    return std::any_of(lives_.begin() + static_cast<std::ptrdiff_t>(from), lives_.begin() + static_cast<std::ptrdiff_t>(to),
                       [moment](const life& one) { return one.after > moment; });
  }
  /// In this bucket or those below, since this moment.
  duration longest_lived(std::size_t at, std::uint32_t moment) const noexcept {
    float seconds = 0;
    for (std::size_t i = 0; i <= at; ++i) {
      if (lives_[i].after > moment) seconds = (std::max)(seconds, lives_[i].longest);
    }
    return std::chrono::duration_cast<duration>(std::chrono::duration<float>(seconds));
  }
  bool learn() noexcept {
    if (moments_ < needed) return false;
    const auto [low, high] = std::minmax_element(silences_.begin(), silences_.end());
    const std::uint32_t first = moments_ - needed + 1;
    const std::size_t at = bucket(*low);
    const bool lived_as_long = lives_[at].after > first && lives_[at].longest > std::chrono::duration<float>(*low).count();
    if (lived_as_long || lived_since(at + 1, buckets, first)) return false;
    const bool alike = *high - *low <= *low / 10;
    if (!alike && !lived_since(at > 8 ? at - 8 : 0, at + 1, first)) return false;
    const duration moved = *low > horizon_ ? *low - horizon_ : horizon_ - *low;
    if (moved <= horizon_ / 5 && horizon_ > duration::zero()) return false;
    horizon_ = *low;
    limit_ = horizon_ / 5 * 4;
    if (!alike) limit_ = (std::min)(limit_, longest_lived(at, first));
    return true;
  }

  std::array<duration, needed> silences_{};  ///< of the latest moments, in a ring
  std::array<life, buckets> lives_{};
  std::uint32_t moments_ = 0;
  tick last_death_{};
  duration horizon_{};
  duration limit_ = no_limit;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
