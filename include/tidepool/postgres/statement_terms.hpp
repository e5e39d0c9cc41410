// SPDX-License-Identifier: BSL-1.0
// tidepool - what a caller of a multiplexer may say about one statement: its time limit, and the trace it is part of.
#ifndef TIDEPOOL_POSTGRES_STATEMENT_TERMS_HPP
#define TIDEPOOL_POSTGRES_STATEMENT_TERMS_HPP

#include "../time.hpp"
#include "../tracing.hpp"
#include "../version.hpp"
#include "within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// First argument of a multiplexer's call; `within` and `trace_context` convert to it: `mux.exec(within(200ms), "update ...")`,
/// `mux.read(request_span, "select ...")`, `mux.read({request_span, within(200ms)}, "select ...")`.
class statement_terms {
 public:
  /// The limit replaces `multiplexer_options::timeout`.
  constexpr statement_terms(const within& limit) noexcept : limit_(limit.limit()), limited_(true) {}
  /// The statement is part of this trace, where `multiplexer_options::tracing` is set.
  constexpr statement_terms(const trace_context& parent) noexcept : parent_(parent) {}
  /// Both.
  constexpr statement_terms(const trace_context& parent, const within& limit) noexcept
      : parent_(parent), limit_(limit.limit()), limited_(true) {}

  /// Empty where none is given.
  constexpr const trace_context& parent() const noexcept { return parent_; }
  /// `otherwise`: where none is given.
  constexpr duration limit(duration otherwise) const noexcept { return limited_ ? limit_ : otherwise; }

 private:
  trace_context parent_{};
  duration limit_{};
  bool limited_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
