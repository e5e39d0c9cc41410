// SPDX-License-Identifier: BSL-1.0
// tidepool - the span of one statement of a multiplexer; made only where `multiplexer_options::tracing` is set.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_CALL_TRACE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_CALL_TRACE_HPP

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "../../../bounded_string.hpp"
#include "../../../source_location.hpp"
#include "../../../time.hpp"
#include "../../../tracing.hpp"
#include "../../../version.hpp"
#include "job.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// What a statement that was answered failed with: its SQLSTATE, where it has one.
using failure_word = bounded_string<47> (*)(const std::exception_ptr& failure) noexcept;

class call_trace {
 public:
  call_trace(std::shared_ptr<tracing> to, const trace_context& parent, failure_word of_failure) noexcept
      : to_(std::move(to)), parent_(parent), of_failure_(of_failure) {}
  call_trace(const call_trace&) = delete;
  call_trace& operator=(const call_trace&) = delete;

  /// `tag`: static text. `prepared` is valid until `begin()`.
  void describe(std::string_view tag, std::string_view prepared, const source_location& where) noexcept {
    tag_ = tag;
    prepared_ = prepared;
    where_ = where;
  }
  /// It is submitted.
  void begin() noexcept { open_ = to_->start(trace_start{trace_step::statement, parent_, {}, 0, where_, {}, tag_, prepared_}); }
  /// The error of its span: what its caller is told, in a word. `failure`: of a statement that was answered.
  bounded_string<47> word_for(verdict how, const std::exception_ptr& failure) const noexcept {
    switch (how) {
      case verdict::answered: break;
      case verdict::late: return "timeout";
      case verdict::cancelled: return "cancelled";
      case verdict::full: return "queue_full";
      case verdict::closed: return "closed";
      case verdict::no_lane: return "no_connection";
      case verdict::lost: return "connection_lost";
      case verdict::unknown: return "outcome_unknown";
    }
    return failure ? of_failure_(failure) : bounded_string<47>();
  }
  /// `submitted` and `sent`: as the dispatcher noted them.
  void end(tick submitted, tick sent, tick now, std::string_view error) noexcept {
    if (!open_) return;
    const trace_context span = *std::exchange(open_, std::nullopt);
    // The time of submission is that of a clock which is behind.
    const duration took = (std::max)(duration::zero(), now - submitted);
    const duration queued = sent == tick{} ? took : std::clamp(duration(sent - submitted), duration::zero(), took);
    to_->end(span, trace_end{trace_step::statement, took, error, 0, tag_, queued});
  }

 private:
  const std::shared_ptr<tracing> to_;
  const trace_context parent_;
  const failure_word of_failure_;
  std::optional<trace_context> open_;
  std::string_view tag_;
  std::string_view prepared_;
  source_location where_{};
};
/// Null: it is not traced.
using call_trace_ptr = std::unique_ptr<call_trace>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
