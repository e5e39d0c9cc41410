// SPDX-License-Identifier: BSL-1.0
// tidepool - a program's tracing that keeps each span as a line of text.
#ifndef TIDEPOOL_TESTS_SUPPORT_SPAN_LOG_HPP
#define TIDEPOOL_TESTS_SUPPORT_SPAN_LOG_HPP

#include <tidepool/tracing.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tidepool_tests {

class span_log final : public tidepool::tracing {
 public:
  std::optional<tidepool::trace_context> start(const tidepool::trace_start& what) noexcept override {
    const std::lock_guard lock(mutex_);
    tidepool::trace_context made = what.parent;
    made.span_id[0] = ++last_;
    open_[last_] = std::string(what.step == tidepool::trace_step::statement ? what.tag : std::string_view(to_string(what.step))) +
                   (what.prepared.empty() ? "" : " prepared") +
                   (what.parent.empty() ? "" : " in " + std::to_string(what.parent.trace_id[0])) + (what.where.line() > 0 ? " placed" : "");
    texts_ += std::string(what.tag) + std::string(what.prepared) + "|";
    return made;
  }
  void end(const tidepool::trace_context& span, const tidepool::trace_end& how) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(span.span_id[0]);
    if (found == open_.end()) {
      lines_.emplace_back("ended twice");
      return;
    }
    lines_.push_back(found->second + (how.error.empty() ? "" : " failed: " + std::string(how.error)));
    texts_ += std::string(how.error) + "|";
    if (how.took < tidepool::duration::zero()) lines_.emplace_back("took less than no time");
    open_.erase(found);
  }

  /// Those that have ended since the last call, in the order of their ends.
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }
  std::size_t open() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }
  /// Everything it was ever told.
  std::string texts() const {
    const std::lock_guard lock(mutex_);
    return texts_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint8_t, std::string> open_;
  std::vector<std::string> lines_;
  std::string texts_;
  std::uint8_t last_ = 0;
};
using span_lines = std::vector<std::string>;

/// A caller's trace.
inline tidepool::trace_context trace_number(std::uint8_t number) {
  tidepool::trace_context out;
  out.trace_id[0] = number;
  out.flags = 1;
  return out;
}
inline std::string joined(const span_lines& lines) {
  std::string out;
  for (const auto& line : lines) out += (out.empty() ? "" : ", ") + line;
  return out;
}

}  // namespace tidepool_tests

#endif
