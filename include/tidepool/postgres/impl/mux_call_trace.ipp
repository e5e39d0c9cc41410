// SPDX-License-Identifier: BSL-1.0
// tidepool - the error of a multiplexer's span: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_MUX_CALL_TRACE_IPP
#define TIDEPOOL_POSTGRES_IMPL_MUX_CALL_TRACE_IPP

#include <exception>

#include "../../bounded_string.hpp"
#include "../../version.hpp"
#include "../detail/mux/call_trace.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

TIDEPOOL_LAZY_BODY bounded_string<47> word_for(verdict how, const std::exception_ptr& failure) noexcept {
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
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const error& told) {
    if (!told.sqlstate().empty()) return told.sqlstate();
  } catch (...) {
  }
  return "failed";
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
