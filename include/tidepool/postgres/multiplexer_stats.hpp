// SPDX-License-Identifier: BSL-1.0
// tidepool - what a multiplexer has done and does now, as numbers, JSON and Prometheus text.
#ifndef TIDEPOOL_POSTGRES_MULTIPLEXER_STATS_HPP
#define TIDEPOOL_POSTGRES_MULTIPLEXER_STATS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../detail/util/lazy.hpp"
#include "../histogram.hpp"
#include "../time.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// One of the slowest statements.
struct statement_trace {
  std::string statement;  ///< up to 200 bytes of its text; no parameters
  bool read = false;
  duration queued{};  ///< from the call to its (latest) sending
  duration served{};  ///< from there to its answer
};

/// `stats()` of a multiplexer. Counters since it was made, each of statements where nothing else is said.
struct multiplexer_stats {
  // now
  std::size_t read_lanes = 0;      ///< connections that take reads
  std::size_t write_lanes = 0;     ///< connections that take other statements
  std::size_t opening_lanes = 0;   ///< connections that are being got
  std::size_t draining_lanes = 0;  ///< connections that are being given back
  std::size_t stalled_lanes = 0;   ///< their statement takes longer than `stall_after`
  std::size_t in_flight = 0;       ///< sent and not answered
  std::size_t deepest = 0;         ///< the same, on the connection that has most
  std::size_t waiting = 0;         ///< not sent yet
  // ever
  std::uint64_t submitted = 0;        ///< statements
  std::uint64_t answered = 0;         ///< with a result or with the server's error
  std::uint64_t failed = 0;           ///< of them: with an error
  std::uint64_t refused = 0;          ///< `queue_full`
  std::uint64_t timed_out = 0;        ///< not answered in time; a write of these was not executed
  std::uint64_t cancelled = 0;        ///< by their callers
  std::uint64_t closed = 0;           ///< not executed, because of a close
  std::uint64_t unconnected = 0;      ///< not executed, because the pool had no connection
  std::uint64_t outcome_unknown = 0;  ///< writes that were sent, and whose answer is missing
  std::uint64_t lost = 0;             ///< reads, given up after several lost connections
  std::uint64_t sent = 0;             ///< sendings; more than were answered, where some were repeated
  std::uint64_t requeued = 0;         ///< of them: skipped behind a failed one, stale, or their connection was lost
  std::uint64_t flushes = 0;          ///< `sent / flushes` is how many share a system call
  std::uint64_t syncs = 0;            ///< `sent / syncs` is how many share a transaction
  std::uint64_t lanes_opened = 0;     ///< connections taken from the pool
  std::uint64_t lanes_lost = 0;       ///< connections that died
  std::uint64_t lanes_failed = 0;     ///< connections that could not be had
  std::uint64_t lanes_turned = 0;     ///< changed from one kind to the other
  std::uint64_t lanes_released = 0;   ///< given back
  std::uint64_t stalls = 0;           ///< see `on_stall`
  // seconds, of those answered
  std::array<histogram, 2> wait{};       ///< of writes and of reads: from the call to its sending
  std::array<histogram, 2> service{};    ///< from there to the answer
  std::vector<statement_trace> slowest;  ///< the slowest first

  /// How many statements share a flush.
  double coalesced() const noexcept { return flushes == 0 ? 0 : static_cast<double>(sent) / static_cast<double>(flushes); }
  /// Adds those of another one; `deepest` is the larger.
  TIDEPOOL_LAZY multiplexer_stats& operator+=(const multiplexer_stats& other);
  /// One object; durations in seconds.
  TIDEPOOL_LAZY std::string to_json() const;
};

/// In the Prometheus text format; `name` becomes the label `multiplexer`.
TIDEPOOL_LAZY std::string to_prometheus(const multiplexer_stats& s, std::string_view name = "default",
                                        std::string_view prefix = "db_multiplexer_");

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/multiplexer_stats.ipp"
#endif

#endif
