// SPDX-License-Identifier: BSL-1.0
// tidepool - what the load generator counts, phase by phase, and how it shows it.
#ifndef TIDEPOOL_EXAMPLES_TALLY_HPP
#define TIDEPOOL_EXAMPLES_TALLY_HPP

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

using steady_clock = std::chrono::steady_clock;

inline double seconds(steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

/// Sorts; so only for reports.
class latencies {
 public:
  void add(steady_clock::duration d) { values_.push_back(static_cast<float>(seconds(d) * 1e3)); }
  /// In milliseconds; q from 0 to 1.
  double quantile(double q) {
    if (values_.empty()) return 0;
    std::sort(values_.begin(), values_.end());
    return static_cast<double>(values_[static_cast<std::size_t>(q * static_cast<double>(values_.size() - 1))]);
  }

 private:
  std::vector<float> values_;
};

class tally {
 public:
  void begin(std::string name) {
    const auto now = steady_clock::now();
    if (!phases_.empty()) phases_.back().end = now;
    phases_.emplace_back(std::move(name), now);
  }
  /// `trouble` is empty for a good answer.
  void count(steady_clock::duration took, const std::string& trouble) {
    phase& now = phases_.back();
    ++now.requests;
    ++since_progress_;
    if (trouble.empty()) {
      now.good.add(took);
      lately_.add(took);
      return;
    }
    ++now.failures[trouble];
    ++now.failed;
    ++failed_since_progress_;
    now.last_failure = steady_clock::now();
  }

  void progress() {
    std::printf("%7.1f s  %-18s %6lu requests  %5lu failed   p99 %7.1f ms\n", seconds(steady_clock::now() - phases_.front().start),
                phases_.back().name.c_str(), since_progress_, failed_since_progress_, lately_.quantile(0.99));
    since_progress_ = failed_since_progress_ = 0;
    lately_ = {};
  }
  void report() {
    phases_.back().end = steady_clock::now();
    std::printf("\n%-18s %7s %9s %7s | %8s %8s %8s %8s | %s\n", "phase", "seconds", "requests", "failed", "p50 ms", "p90 ms", "p99 ms",
                "max ms", "last failure");
    for (phase& p : phases_) {
      std::printf("%-18s %7.1f %9lu %7lu | %8.1f %8.1f %8.1f %8.1f | ", p.name.c_str(), seconds(p.end - p.start), p.requests, p.failed,
                  p.good.quantile(0.5), p.good.quantile(0.9), p.good.quantile(0.99), p.good.quantile(1));
      if (p.failed) {
        std::printf("%.2f s after its begin\n", seconds(p.last_failure - p.start));
      } else {
        std::printf("none\n");
      }
    }
    for (const phase& p : phases_) {
      for (const auto& [trouble, times] : p.failures) std::printf("  %s: %lu x %s\n", p.name.c_str(), times, trouble.c_str());
    }
  }
  /// For scripts: one `failed_PHASE=N` a phase, words joined by underscores.
  void write(std::ostream& out) const {
    for (const phase& p : phases_) {
      std::string name = p.name;
      std::replace(name.begin(), name.end(), ' ', '_');
      out << "requests_" << name << '=' << p.requests << "\nfailed_" << name << '=' << p.failed << '\n';
    }
  }

 private:
  struct phase {
    phase(std::string n, steady_clock::time_point t) : name(std::move(n)), start(t), end(t) {}
    std::string name;
    steady_clock::time_point start, end, last_failure{};
    unsigned long requests = 0, failed = 0;
    latencies good;
    std::map<std::string, unsigned long> failures;
  };
  std::vector<phase> phases_;
  unsigned long since_progress_ = 0, failed_since_progress_ = 0;
  latencies lately_;
};

#endif
