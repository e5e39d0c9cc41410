// SPDX-License-Identifier: BSL-1.0
// tidepool - makes and records every decision of a simulation: at random, by priority, exhaustively, or from a record.
#ifndef TIDEPOOL_TESTING_CHOICE_SOURCE_HPP
#define TIDEPOOL_TESTING_CHOICE_SOURCE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../detail/util/random.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// One decision: `value` out of 0 .. `bound` - 1.
struct choice {
  std::uint32_t value;
  std::uint32_t bound;
};

/// Every decision of a run goes through one object of this class, which records it. The record replays the run, in whichever mode it was
/// made. Zero always means the simplest alternative (first come first served, no fault), so a record with fewer and smaller numbers is a
/// simpler run. One thread at a time.
class choice_source {
 public:
  /// Every decision is drawn independently.
  static choice_source random(std::uint64_t seed) { return choice_source(mode::random, seed); }

  /// Probabilistic concurrency testing: the ready handler of the lane with the highest priority runs. A lane stands for a thread of the
  /// paper. Priorities are drawn once per lane, and the running lane gets the lowest priority at `depth` - 1 steps drawn from 0 ..
  /// `horizon` - 1. Finds a bug that needs `depth` ordered events with a probability of at least 1 / (lanes * horizon^(depth-1)). All other
  /// decisions are as in `random`.
  /// Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs" (2010).
  static choice_source pct(std::uint64_t seed, std::size_t depth, std::uint64_t horizon) {
    choice_source out(mode::pct, seed);
    for (std::size_t i = 1; i < depth; ++i) out.change_points_.push_back(out.random_() % std::max<std::uint64_t>(horizon, 1));
    std::sort(out.change_points_.begin(), out.change_points_.end());
    return out;
  }

  /// Depth first through all combinations of the first `max_choices` decisions of a run (later ones are zero): run, call `next()`, run
  /// again until it returns false.
  static choice_source exhaustive(std::size_t max_choices) {
    choice_source out(mode::exhaustive, 0);
    out.max_choices_ = max_choices;
    return out;
  }

  /// The decisions of `record`, then zeros.
  static choice_source replay(std::vector<std::uint32_t> record) {
    choice_source out(mode::replay, 0);
    out.script_ = std::move(record);
    return out;
  }

  /// One decision from one byte, or from two where there are more than 256 alternatives; for fuzzers.
  static choice_source from_bytes(const std::uint8_t* data, std::size_t size) {
    choice_source out(mode::bytes, 0);
    out.script_.assign(data, data + size);
    return out;
  }

  /// A number from 0 to `bound` - 1. With a bound of 0 or 1 there is nothing to decide, and nothing is recorded.
  std::uint32_t choose(std::uint32_t bound) {
    if (bound < 2 || paused_) return 0;
    return record(draw(bound), bound);
  }

  /// True with this probability; 0 and 1 are certain, and not recorded.
  bool chance(double probability) {
    if (probability <= 0) return false;
    if (probability >= 1) return true;
    if (paused_) return false;
    const bool drawn = draws() ? random_.unit() < probability : draw(2) == 1;
    return record(drawn ? 1 : 0, 2) == 1;
  }

  /// One of these; the first is the simplest one.
  template <class T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[choose(static_cast<std::uint32_t>(from.size()))];
  }

  /// Which of `ready` handlers runs next; `lane_of(i)` returns the lane of the i-th one.
  template <class LaneOf>
  std::uint32_t schedule(std::uint32_t ready, LaneOf lane_of) {
    if (mode_ != mode::pct || paused_) return choose(ready);
    std::uint32_t best = 0;
    for (std::uint32_t i = 1; i < ready; ++i) {
      if (priority(lane_of(i)) > priority(lane_of(best))) best = i;
    }
    if (demotions_ < change_points_.size() && scheduled_ >= change_points_[demotions_]) {
      priority(lane_of(best));  // draws one for a new lane
      priorities_[lane_of(best)] = change_points_.size() - ++demotions_;
    }
    ++scheduled_;
    return ready < 2 ? 0 : record(best, ready);
  }

  /// Exhaustive mode: sets up the next combination. False when there is none.
  bool next() {
    std::size_t last = (std::min)(log_.size(), max_choices_);
    while (last > 0 && log_[last - 1].value + 1 >= log_[last - 1].bound) --last;
    if (mode_ != mode::exhaustive || last == 0) return false;
    script_.clear();
    for (std::size_t i = 0; i < last; ++i) script_.push_back(log_[i].value);
    ++script_.back();
    log_.clear();
    at_ = 0;
    return true;
  }

  /// While paused every decision is zero and none is recorded: for preparations that are not part of the exploration.
  void pause(bool on) noexcept { paused_ = on; }

  /// Everything decided so far.
  const std::vector<choice>& log() const noexcept { return log_; }
  std::vector<std::uint32_t> values() const {
    std::vector<std::uint32_t> out;
    for (const choice& c : log_) out.push_back(c.value);
    return out;
  }

 private:
  enum class mode { random, pct, exhaustive, replay, bytes };

  choice_source(mode how, std::uint64_t seed) : mode_(how), random_(seed) {}

  bool draws() const noexcept { return mode_ == mode::random || mode_ == mode::pct; }

  std::uint32_t draw(std::uint32_t bound) {
    if (draws()) return static_cast<std::uint32_t>((random_() >> 32) * bound >> 32);
    if (at_ >= script_.size()) return 0;
    std::uint32_t value = script_[at_++];
    if (mode_ == mode::bytes && bound > 256 && at_ < script_.size()) value = value << 8 | script_[at_++];
    return value % bound;
  }
  std::uint32_t record(std::uint32_t value, std::uint32_t bound) {
    log_.push_back({value, bound});
    return value;
  }
  std::uint64_t priority(std::uint32_t lane) {
    // Drawn priorities are higher than those of demoted lanes.
    while (priorities_.size() <= lane) priorities_.push_back(change_points_.size() + 1 + (random_() >> 16));
    return priorities_[lane];
  }

  mode mode_;
  tidepool::detail::splitmix random_;
  std::vector<choice> log_;
  std::vector<std::uint32_t> script_;
  std::size_t at_ = 0;
  std::size_t max_choices_ = 0;
  bool paused_ = false;
  std::vector<std::uint64_t> change_points_;
  std::vector<std::uint64_t> priorities_;
  std::size_t demotions_ = 0;
  std::uint64_t scheduled_ = 0;
};

/// A record as text: numbers separated by commas, `0*12` for twelve zeros; trailing zeros are left out, because a replay adds them.
inline std::string to_text(const std::vector<std::uint32_t>& record) {
  std::size_t end = record.size();
  while (end > 0 && record[end - 1] == 0) --end;
  std::string out;
  for (std::size_t i = 0; i < end;) {
    std::size_t same = i + 1;
    while (same < end && record[same] == record[i]) ++same;
    if (!out.empty()) out += ',';
    out += std::to_string(record[i]);
    if (same - i > 1) out += '*' + std::to_string(same - i);
    i = same;
  }
  return out.empty() ? "0" : out;
}

/// The reverse of `to_text`; stops at the first part that is no number.
inline std::vector<std::uint32_t> record_from_text(std::string_view text) {
  constexpr std::size_t longest = 10'000'000;
  std::vector<std::uint32_t> out;
  std::size_t at = 0;
  const auto number = [&] {
    std::uint64_t value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value < longest * 10) {
      value = value * 10 + static_cast<std::uint64_t>(text[at++] - '0');
    }
    return value;
  };
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    const auto value = static_cast<std::uint32_t>(number());
    std::size_t times = 1;
    if (at < text.size() && text[at] == '*') {
      ++at;
      times = static_cast<std::size_t>(number());
    }
    out.insert(out.end(), (std::min)(times, longest - out.size()), value);
    if (at < text.size() && text[at] == ',') ++at;
  }
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
