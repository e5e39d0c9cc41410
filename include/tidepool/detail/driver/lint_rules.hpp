// SPDX-License-Identifier: BSL-1.0
// tidepool - rules between a pool's configuration and limits that servers of several kinds have.
#ifndef TIDEPOOL_DETAIL_DRIVER_LINT_RULES_HPP
#define TIDEPOOL_DETAIL_DRIVER_LINT_RULES_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../config.hpp"
#include "../../lint.hpp"
#include "../../version.hpp"
#include "../util/words.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// Collects what rules find. A limit of zero is none, as servers have it.
template <class = void>
class basic_limit_rules {
 public:
  explicit basic_limit_rules(const pool_config& config) : config_(config) {}

  void add(std::string_view limit, std::string text, std::string change) {
    found_.push_back({std::string(limit), std::move(text), std::move(change)});
  }
  /// The server gives the pool `left` connections at most; `who` has that limit, and `lift` raises it for all that the pool wants.
  void size(std::string_view limit, std::int64_t left, const std::string& who, const std::string& lift) {
    if (config_.max_size <= static_cast<std::size_t>(std::max<std::int64_t>(left, 0))) return;
    std::string change = left > 0 ? "set max_size to " + std::to_string(left) + " or less, or " + lift : lift;
    add(limit, "max_size is " + std::to_string(config_.max_size) + ", but " + who, std::move(change));
  }
  /// The server ends sessions that are idle for so long.
  void idle(std::string_view limit, duration longest, const std::string& lift) {
    if (longest <= duration::zero() || longest > silence()) return;
    const bool checks = config_.health_check_interval != no_limit;
    add(limit,
        "the server ends sessions that are idle for " + in_words(longest) + " (" + std::string(limit) + "), and idle connections are " +
            (checks ? "validated every " + in_words(config_.health_check_interval) + " only" : std::string("not validated")),
        "set health_check_interval to " + in_words(std::max<duration>(longest / 2, std::chrono::milliseconds(1))) + " or less, or " + lift);
  }
  /// The server ends statements that take so long, before `response`, the client's own limit, is over.
  void statement(std::string_view limit, duration longest, duration response, const std::string& lift) {
    if (longest <= duration::zero() || response == no_limit || longest > response) return;
    add(limit,
        "response_timeout is " + in_words(response) + ", but the server ends each statement after " + in_words(longest) + " (" +
            std::string(limit) + "), with an error of its own",
        "set response_timeout below that, or " + lift);
  }
  /// The server ends sessions whose transaction waits for its client for so long.
  void transaction(std::string_view limit, duration longest, const std::string& lift) {
    if (longest <= duration::zero() || !config_.leak_detection || config_.leak_timeout == no_limit || longest >= config_.leak_timeout)
      return;
    add(limit,
        "leak_timeout is " + in_words(config_.leak_timeout) + ", but the server ends a session whose transaction is idle for " +
            in_words(longest) + " (" + std::string(limit) + "): a lease that leaks there breaks before it is reported",
        "set leak_timeout to " + in_words(longest) + " or less, or " + lift);
  }
  std::vector<limit_finding> take() { return std::move(found_); }

 private:
  /// For how long a connection may be without a word between pool and server. A check may come half an interval late (see `sweep()`).
  duration silence() const {
    const bool kept = config_.min_size > 0 || config_.min_idle > 0 || config_.idle_timeout == no_limit;
    const duration unchecked = kept ? duration(no_limit) : config_.idle_timeout;
    const duration interval = config_.health_check_interval;
    return interval > (duration::max)() / 2 ? unchecked : std::min<duration>(unchecked, interval + interval / 2);
  }

  const pool_config& config_;
  std::vector<limit_finding> found_;
};
using limit_rules = basic_limit_rules<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
