// SPDX-License-Identifier: BSL-1.0
// tidepool - what bounds the multiplexer's dispatcher, and what it counts.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_RULES_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_RULES_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "../../../histogram.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// What bounds a dispatcher.
struct rules {
  std::size_t max_lanes = 8;
  std::size_t max_depth = 64;                     ///< statements in flight on one lane
  std::size_t max_bytes = std::size_t{1} << 20U;  ///< about what they send; one alone may be larger
  std::size_t max_group = 64;                     ///< reads of one Sync
  std::size_t max_waiting = 10'000;               ///< statements that wait for a lane
  std::uint8_t most_losses = 3;                   ///< lanes that may be lost under one read
  duration stall_after = std::chrono::milliseconds(50);
  duration by_turns = std::chrono::milliseconds(50);     ///< lanes take statements only when idle, after one has overtaken another
  duration turn_after = std::chrono::milliseconds(200);  ///< a kind whose lanes are all stalled waits so long for one of the other kind
  duration lane_idle = std::chrono::seconds(10);
  duration give_up_after = std::chrono::seconds(5);
  duration reopen_after = std::chrono::milliseconds(100);  ///< after a connection could not be had, while other lanes work
};

/// What has happened so far. Written by one thread.
struct counters {
  std::uint64_t submitted = 0, answered = 0, failed = 0, refused = 0, late = 0, cancelled = 0, closed = 0, no_lane = 0, lost = 0,
                unknown = 0;
  std::uint64_t sent = 0, flushes = 0, syncs = 0, skipped = 0, stale = 0, resent = 0, dropped = 0;
  std::uint64_t lanes_opened = 0, lanes_failed = 0, lanes_lost = 0, lanes_turned = 0, lanes_released = 0, stalls = 0;
};

/// Times of the statements that were answered, by kind.
struct timings {
  std::array<histogram, 2> wait;     ///< from the call to the latest sending
  std::array<histogram, 2> service;  ///< from there to the answer of its Sync
};

/// What became of a statement that a lane was to send.
enum class put_result : std::uint8_t {
  sent,     ///< it is in the lane's output: it may reach the server
  refused,  ///< nothing was sent, and its own error says why; the lane is as good as before
  lost      ///< nothing of it was sent, and the lane is dead
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
