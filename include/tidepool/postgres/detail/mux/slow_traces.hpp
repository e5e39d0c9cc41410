// SPDX-License-Identifier: BSL-1.0
// tidepool - the slowest statements of a multiplexer so far.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_SLOW_TRACES_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_SLOW_TRACES_HPP

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "../../../version.hpp"
#include "../../multiplexer_stats.hpp"
#include "../text.hpp"
#include "dispatcher.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// Lives as long as the dispatcher tells it of statements: until `end()`.
class slow_traces {
 public:
  static constexpr std::size_t most = 8;

  /// `Call`: what its jobs are.
  template <class Call>
  void watch(dispatcher& of) {
    of_ = &of;
    of.on_slow = [](void* to, const job& j, tick now) noexcept { static_cast<slow_traces*>(to)->add(static_cast<const Call&>(j), now); };
    of.on_slow_context = this;
  }
  void end() noexcept { of_->on_slow = nullptr; }
  const std::vector<statement_trace>& all() const noexcept { return all_; }

 private:
  template <class Call>
  void add(const Call& c, tick now) noexcept {
    try {
      statement_trace one{printable(c.what.sql(), 200), c.kind == lane_kind::read, c.sent - c.submitted, now - c.sent};
      const auto slower = [&](const statement_trace& other) { return other.queued + other.served >= one.queued + one.served; };
      all_.insert(std::find_if_not(all_.begin(), all_.end(), slower), std::move(one));
      if (all_.size() > most) all_.pop_back();
      if (all_.size() == most) of_->report_slow(all_.back().queued + all_.back().served);
    } catch (...) {  // without this trace
    }
  }
  dispatcher* of_ = nullptr;
  std::vector<statement_trace> all_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
