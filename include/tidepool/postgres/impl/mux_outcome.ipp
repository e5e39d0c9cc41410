// SPDX-License-Identifier: BSL-1.0
// tidepool - what callers of the multiplexer are told: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_MUX_OUTCOME_IPP
#define TIDEPOOL_POSTGRES_IMPL_MUX_OUTCOME_IPP

#include <algorithm>
#include <exception>

#include "../../bounded_string.hpp"
#include "../../detail/util/asio.hpp"
#include "../../version.hpp"
#include "../detail/mux/dispatcher.hpp"
#include "../detail/mux/outcome.hpp"
#include "../error.hpp"
#include "../multiplexer_options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

TIDEPOOL_LAZY_BODY void fail(const job& about, verdict how, const std::exception_ptr& failure, const std::exception_ptr& trouble) {
  const bool reads = about.kind == lane_kind::read;
  switch (how) {
    case verdict::answered: std::rethrow_exception(failure);
    case verdict::late:
      throw multiplexer_error(tidepool::errc::timeout, reads
                                                           ? "multiplexer: the read was not answered in time"
                                                           : "multiplexer: no connection took the statement in time; it was not executed");
    case verdict::cancelled:
      throw system_error(asio::error::make_error_code(asio::error::operation_aborted),
                         about.sent == tick{} ? "cancelled before it was sent" : "cancelled; it was sent, and may have been executed");
    case verdict::full:
      throw multiplexer_error(tidepool::errc::queue_full, "multiplexer: max_waiting statements wait already; it was not executed");
    case verdict::closed:
      throw multiplexer_error(tidepool::errc::closed, reads ? "multiplexer: it is closed; the read was not answered"
                                                            : "multiplexer: it is closed; the statement was not executed");
    case verdict::no_lane:
      if (trouble) std::rethrow_exception(trouble);
      throw multiplexer_error(tidepool::errc::closed, "multiplexer: no connection could be had; the statement was not executed");
    case verdict::lost: throw error(errc::connection_lost, "every connection the read was sent on was lost before its answer");
    case verdict::unknown: break;
  }
  throw error(errc::outcome_unknown,
              "the statement was sent, and its answer is missing, because the connection was lost or its time was up: it may have been "
              "executed or not");
}

TIDEPOOL_LAZY_BODY bounded_string<47> failure_in_a_word(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const error& told) {
    if (!told.sqlstate().empty()) return told.sqlstate();
  } catch (...) {
  }
  return "failed";
}

TIDEPOOL_LAZY_BODY multiplexer_stats numbers_of(const dispatcher& state, tick now) {
  const auto& c = state.counts();
  multiplexer_stats out;
  for (std::size_t i = 0; i < state.lane_count(); ++i) {
    const auto& l = state.lane_at(i);
    out.read_lanes += l.state == lane_state::ready && l.kind == lane_kind::read;
    out.write_lanes += l.state == lane_state::ready && l.kind == lane_kind::write;
    out.opening_lanes += l.state == lane_state::opening;
    out.draining_lanes += l.state == lane_state::draining;
    out.stalled_lanes += state.stalled(l, now);
    out.deepest = std::max(out.deepest, l.depth());
  }
  out.in_flight = state.in_flight();
  out.waiting = state.waiting();
  out.submitted = c.submitted;
  out.answered = c.answered;
  out.failed = c.failed;
  out.refused = c.refused;
  out.timed_out = c.late;
  out.cancelled = c.cancelled;
  out.closed = c.closed;
  out.unconnected = c.no_lane;
  out.outcome_unknown = c.unknown;
  out.lost = c.lost;
  out.sent = c.sent;
  out.requeued = c.skipped + c.stale + c.resent;
  out.flushes = c.flushes;
  out.syncs = c.syncs;
  out.lanes_opened = c.lanes_opened;
  out.lanes_lost = c.lanes_lost;
  out.lanes_failed = c.lanes_failed;
  out.lanes_turned = c.lanes_turned;
  out.lanes_released = c.lanes_released;
  out.stalls = c.stalls;
  out.wait = state.times().wait;
  out.service = state.times().service;
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
