// SPDX-License-Identifier: BSL-1.0
// tidepool - advice on the size of a pool: the load it had is replayed in pools of other sizes.
//
// Source: the waits of a queue with n servers, first come first served, by J. Kiefer, J. Wolfowitz, "On the theory of queues with many
// servers" (1955); the burst that explains a variance of leases by A. E. Eckberg, "Generalized peakedness of teletraffic processes" (1983).
#ifndef TIDEPOOL_IMPL_ADVICE_IPP
#define TIDEPOOL_IMPL_ADVICE_IPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../advice.hpp"
#include "../detail/util/json_writer.hpp"
#include "../detail/util/random.hpp"
#include "../detail/util/words.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

template <class = void>
inline duration from_seconds(double seconds) {
  return seconds >= 9e9 ? duration(no_limit) : std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds));
}
template <class = void>
inline double to_seconds(duration d) {
  return d == no_limit ? 1e18 : std::chrono::duration<double>(d).count();
}

/// One acquire of a replay: seconds.
struct replayed_acquire {
  double at;
  double hold;
};
/// The load as a few numbers, and as acquires to replay.
template <class = void>
class basic_load_model {
 public:
  basic_load_model(const pool_load& load, std::size_t effort) : random_(0x6c6f6164) {
    read_holds(load.hold_time);
    read_windows(load.record);
    if (total_seconds > 0 && mean_hold > 0) make_acquires(effort);
  }

  double total_seconds = 0, arrivals = 0, mean_hold = 0, peak_rate = 0, burstiness = 1;
  std::size_t windows = 0;
  std::vector<replayed_acquire> acquires;  ///< in order
  double counts_from = 0;                  ///< nobody is in the pool at the beginning: what comes before only fills it
  double ends = 0;

 private:
  using unit = std::vector<load_window>;  ///< windows that follow each other

  /// A thousand values that are as likely as each other. A histogram rounds up: their mean is set right.
  void read_holds(const histogram& seen) {
    if (seen.count() == 0) return;
    mean_hold = seen.sum_seconds() / static_cast<double>(seen.count());
    constexpr std::size_t values = 1000;
    double sum = 0;
    for (std::size_t i = 0; i < values; ++i) {
      holds_.push_back(to_seconds(seen.quantile((static_cast<double>(i) + 0.5) / values)));
      sum += holds_.back();
    }
    if (sum <= 0) return;
    for (double& hold : holds_) hold *= mean_hold * values / sum;
    // The mean of the shorter one of two leases, over that of one: 1 where all are the same.
    double shorter = 0;
    for (std::size_t i = 0; i < values; ++i) shorter += holds_[i] * static_cast<double>(2 * (values - i) - 1);
    overlap_ = shorter / (values * values) / mean_hold;
  }
  void read_windows(const load_record& record) {
    for (std::size_t i = 0; i < record.size(); ++i) {
      unit block;
      for (const load_window& w : record[i]) {
        if (w.seconds <= 0) continue;
        block.push_back(w);
        ++windows;
        total_seconds += static_cast<double>(w.seconds);
        arrivals += w.arrivals;
        peak_rate = (std::max)(peak_rate, w.arrivals / static_cast<double>(w.seconds));
      }
      if (!block.empty()) units_.push_back(std::move(block));
    }
    if (windows > 0 && mean_hold > 0) correct_burstiness(record.burstiness(mean_hold));
  }

  /// A window's own arrivals, around whose number the leases at its end are said to vary, are in part these leases.
  void correct_burstiness(double seen) {
    const double share = (std::min)(mean_hold * static_cast<double>(windows) / total_seconds, overlap_ / 2);
    burstiness = (std::max)(1.0, (seen + share * (1 - 1 / overlap_)) / (1 - share / overlap_));
  }

  /// Stretches follow each other as they were, with others between them left out: a queue goes on from one to the next.
  void make_acquires(std::size_t effort) {
    const double most = static_cast<double>(effort);
    double share = 1;
    if (arrivals > most) {
      // With few blocks the rates of a day would not be in it: windows by themselves.
      if (most / (arrivals / static_cast<double>(units_.size())) < 24) split_units();
      const double mean = arrivals / static_cast<double>(units_.size());
      keep_some(static_cast<std::size_t>((std::max)(most / mean, (std::min)(24.0, static_cast<double>(units_.size())))));
      double left = 0;
      for (const unit& u : units_) left += count_of(u);
      share = (std::min)(1.0, most / (std::max)(left, 1.0));
    }
    const load_window& first = units_.front().front();
    add(first, (std::min)(static_cast<double>(first.seconds), 10 * mean_hold));
    counts_from = ends;
    const auto rounds = static_cast<std::size_t>(std::clamp(most / (std::max)(arrivals, 1.0), 1.0, 8.0));
    for (std::size_t round = 0; round < rounds; ++round) {
      for (const unit& u : units_) {
        for (const load_window& w : u) add(w, static_cast<double>(w.seconds) * share);
      }
    }
  }
  /// One at random of each part of the units, which are parted by their rates.
  void keep_some(std::size_t count) {
    std::vector<std::size_t> order(units_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rate_of(units_[a]) < rate_of(units_[b]); });
    const double part = static_cast<double>(order.size()) / static_cast<double>(count);
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < count; ++i)
      kept.push_back(order[static_cast<std::size_t>((static_cast<double>(i) + random_.unit()) * part)]);
    std::sort(kept.begin(), kept.end());
    std::vector<unit> chosen;
    for (const std::size_t i : kept) chosen.push_back(units_[i]);
    units_ = std::move(chosen);
  }
  void split_units() {
    std::vector<unit> single;
    for (const unit& u : units_) {
      for (const load_window& w : u) single.push_back({w});
    }
    units_ = std::move(single);
  }
  static double count_of(const unit& u) {
    double out = 0;
    for (const load_window& w : u) out += w.arrivals;
    return out;
  }
  static double rate_of(const unit& u) {
    double seconds = 0;
    for (const load_window& w : u) seconds += static_cast<double>(w.seconds);
    return count_of(u) / seconds;
  }
  /// The acquires of a window, or of as much of its time.
  void add(const load_window& w, double length) {
    // Of callers that come together: how many, as the one among them sees it, is what the variance says.
    const double seen = 1 + (burstiness - 1) / (std::max)(overlap_, 0.05);
    const double mean = (seen + 1) / 2;  // of a geometric number whose mean, weighted by itself, is `seen`
    const double goes_on = 1 - 1 / mean;
    const std::size_t begin = acquires.size();
    double left = w.arrivals * length / static_cast<double>(w.seconds) - ahead_;
    while (left >= random_.unit()) {
      const double at = ends + random_.unit() * length;
      do {
        acquires.push_back({at, holds_[static_cast<std::size_t>(random_.unit() * static_cast<double>(holds_.size()))]});
        left -= 1;
      } while (random_.unit() < goes_on);
    }
    ahead_ = -left;
    std::sort(acquires.begin() + static_cast<std::ptrdiff_t>(begin), acquires.end(),
              [](const auto& a, const auto& b) { return a.at < b.at; });
    ends += length;
  }

  double ahead_ = 0;  ///< acquires that a burst had more than its window
  std::vector<double> holds_;
  double overlap_ = 1;
  std::vector<unit> units_;
  splitmix random_;
};
using load_model = basic_load_model<>;

/// Points in time, the earliest first. By hand, because <queue> is long to read for every file with a pool.
template <class = void>
class basic_time_heap {
 public:
  explicit basic_time_heap(std::size_t zeros = 0) : times_(zeros, 0.0) {}
  bool empty() const noexcept { return times_.empty(); }
  std::size_t size() const noexcept { return times_.size(); }
  double earliest() const noexcept { return times_.front(); }
  void pop() {
    std::pop_heap(times_.begin(), times_.end(), std::greater<>());
    times_.pop_back();
  }
  void push(double time) {
    times_.push_back(time);
    std::push_heap(times_.begin(), times_.end(), std::greater<>());
  }

 private:
  std::vector<double> times_;
};
using time_heap = basic_time_heap<>;

/// Nor <cmath>.
template <class = void>
inline std::size_t rounded_up(double value) {
  const auto whole = static_cast<std::size_t>(value);
  return whole + (static_cast<double>(whole) < value ? 1 : 0);
}

template <class = void>
inline double share_of(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

/// What callers wait for in a pool of `size`.
template <class = void>
inline advised_size replay(const load_model& load, std::size_t size, duration goal, duration timeout) {
  advised_size out;
  out.size = size;
  std::vector<double> waits;
  waits.reserve(load.acquires.size());
  time_heap free(size);
  double full = 0, covered = load.counts_from;
  std::size_t late = 0;
  for (const replayed_acquire& one : load.acquires) {
    const double begins = (std::max)(one.at, free.earliest());
    if (one.at >= load.counts_from) {
      waits.push_back(begins - one.at);
      late += begins > one.at && begins - one.at >= to_seconds(timeout);
    }
    free.pop();
    free.push(begins + one.hold);
    if (free.earliest() > (std::max)(one.at, covered)) {
      full += free.earliest() - (std::max)(one.at, covered);
      covered = free.earliest();
    }
  }
  if (waits.empty()) return out;
  const auto rank = waits.begin() + static_cast<std::ptrdiff_t>((waits.size() - 1) * 99 / 100);
  std::nth_element(waits.begin(), rank, waits.end());
  out.p99_wait = from_seconds(*rank);
  out.at_limit = (std::min)(1.0, share_of(full, (std::max)(load.ends, covered) - load.counts_from));
  out.timed_out = share_of(static_cast<double>(late), static_cast<double>(waits.size()));
  out.good = out.p99_wait <= goal && late == 0;
  return out;
}

/// So many leases an arriving caller finds at most, in 95 of 100 cases, where nobody has to wait.
template <class = void>
inline std::size_t usual_leases(const load_model& load) {
  std::vector<std::size_t> found;
  time_heap ends;
  for (const replayed_acquire& one : load.acquires) {
    while (!ends.empty() && ends.earliest() <= one.at) ends.pop();
    if (one.at >= load.counts_from) found.push_back(ends.size() + 1);
    ends.push(one.at + one.hold);
  }
  if (found.empty()) return 0;
  const auto rank = found.begin() + static_cast<std::ptrdiff_t>((found.size() - 1) * 95 / 100);
  std::nth_element(found.begin(), rank, found.end());
  return *rank;
}

}  // namespace detail

TIDEPOOL_LAZY_BODY pool_advice advise(const pool_load& load, const pool_config& config, std::size_t effort) {
  constexpr std::size_t largest = 10'000;
  pool_advice out;
  out.goal = config.wait_goal;
  const detail::load_model model(load, effort);
  out.observed = detail::from_seconds(model.total_seconds);
  if (model.windows < 2 * detail::load_record::block)
    return out.why = "too little time was observed: it takes 16 looks, one each advice_interval at most", out;
  if (model.arrivals < 500) return out.why = "fewer than 500 acquires were observed", out;
  if (load.hold_time.count() < 100 || model.mean_hold <= 0) return out.why = "fewer than 100 leases were timed", out;
  out.known = true;
  out.arrivals = model.arrivals / model.total_seconds;
  out.mean_hold = detail::from_seconds(model.mean_hold);
  out.mean_leases = out.arrivals * model.mean_hold;
  out.peak_leases = model.peak_rate * model.mean_hold;
  out.burstiness = model.burstiness;
  out.queued = load.record.queued();
  out.measured_p99 = load.wait_time.quantile(0.99);

  const auto expect = [&](std::size_t size) { return detail::replay(model, size, config.wait_goal, config.acquire_timeout); };
  // Waits fall with the size, so it is found by halving.
  std::size_t bad = 0;
  auto good = detail::rounded_up(std::clamp(out.mean_leases, 1.0, static_cast<double>(largest)));
  while (good < largest && !expect(good).good) {
    bad = good;
    good = (std::min)(good + good / 2 + 1, largest);
  }
  while (good - bad > 1) {
    const std::size_t half = bad + (good - bad) / 2;
    (expect(half).good ? good : bad) = half;
  }
  out.max_size = good;
  const bool quick_connects = load.connect_time.count() > 0 && load.connect_time.quantile(0.95) <= config.wait_goal;
  const auto usual = quick_connects ? detail::rounded_up(out.mean_leases) : detail::usual_leases(model);
  out.min_size = (std::min)((std::max)(usual, std::size_t{1}), good);
  out.now = expect((std::max)(load.max_size, std::size_t{1}));
  const std::size_t step = (std::max)(good / 10, std::size_t{1});
  for (std::size_t i = 0; i < out.around.size(); ++i) {
    if (good + i * step > 3 * step) out.around[i] = expect(good + i * step - 3 * step);
  }
  return out;
}

TIDEPOOL_LAZY_BODY std::string to_json(const pool_advice& advice) {
  detail::json_writer out;
  const auto size = [&out](const advised_size& one) {
    out.add("size", one.size);
    out.add("p99_wait", one.p99_wait);
    out.add("at_limit", one.at_limit);
    out.add("timed_out", one.timed_out);
    out.add_bool("good", one.good);
    out.close();
  };
  out.open();
  out.add_bool("known", advice.known);
  out.add("why", std::string_view(advice.why));
  out.add("observed", advice.observed);
  out.add("arrivals", advice.arrivals);
  out.add("mean_hold", advice.mean_hold);
  out.add("mean_leases", advice.mean_leases);
  out.add("peak_leases", advice.peak_leases);
  out.add("burstiness", advice.burstiness);
  out.add_bool("queued", advice.queued);
  out.add("goal", advice.goal);
  out.add("min_size", advice.min_size);
  out.add("max_size", advice.max_size);
  out.add("measured_p99", advice.measured_p99);
  out.open("now");
  size(advice.now);
  out.open_list("around");
  for (const advised_size& one : advice.around) {
    if (one.size == 0) continue;
    out.open();
    size(one);
  }
  out.close_list();
  out.close();
  return out.take();
}

std::string to_string(const pool_advice& advice) {
  if (!advice.known) return std::string("no advice yet: ") + advice.why;
  char figures[160];
  std::snprintf(figures, sizeof figures, "%.3g acquires a second hold %.3g connections on average, %.3g at the peak", advice.arrivals,
                advice.mean_leases, advice.peak_leases);
  std::string out = "min_size " + std::to_string(advice.min_size) + ", max_size " + std::to_string(advice.max_size) +
                    " would do for a p99 wait of " + detail::in_words(advice.goal) + ": " + figures + "; at max_size " +
                    std::to_string(advice.now.size) + ", the present one, the p99 wait is expected to be " +
                    detail::in_words(advice.now.p99_wait);
  std::snprintf(figures, sizeof figures, ", and all are leased for %.2g %% of the time", advice.now.at_limit * 100);
  out += figures;
  if (advice.queued) out += "; callers wait so often that their bursts cannot be seen: look again when the pool is larger";
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
