// SPDX-License-Identifier: BSL-1.0
// tidepool - what bounds a multiplexer, and why it did not execute a statement.
#ifndef TIDEPOOL_POSTGRES_MULTIPLEXER_OPTIONS_HPP
#define TIDEPOOL_POSTGRES_MULTIPLEXER_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../detail/util/lazy.hpp"
#include "../error.hpp"
#include "../time.hpp"
#include "../tracing.hpp"
#include "../version.hpp"
#include "read_options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What bounds a multiplexer. Give the pool room for `max_lanes` connections beside those of its other users.
struct multiplexer_options {
  std::size_t max_lanes = 8;                             ///< connections, of both kinds together
  std::size_t max_depth = 64;                            ///< statements in flight on one; 1: no pipelining, for proxies that cannot
  std::size_t max_bytes = std::size_t{1} << 20U;         ///< sent and not answered on one connection; a larger statement goes alone
  std::size_t max_waiting = 10'000;                      ///< statements that wait for a connection; more are refused, `errc::queue_full`
  std::size_t max_statements = 256;                      ///< texts that are kept prepared; others are sent with their text
  duration timeout = std::chrono::seconds(30);           ///< of a statement, from its call to its answer; `no_limit`: none
  duration stall_after = std::chrono::milliseconds(50);  ///< a connection whose statement takes longer gets no more until it answers
  duration lane_idle = std::chrono::seconds(10);         ///< an unused connection is given back after that
  duration lane_lifetime = std::chrono::minutes(1);      ///< any is given back after that, drained: the pool then looks at it
  duration give_up_after = std::chrono::seconds(5);      ///< a silent connection is shut after that, where nobody waits for its statement

  /// While no more statements are in flight than there may be connections, the event loop looks for answers for so long before it sleeps,
  /// where that pays: to be woken up takes longer than most statements of a server nearby. 0: it does not; 10 ms at most. `multiplexers` of
  /// several threads do not look.
  duration look_time = std::chrono::microseconds(20);
  /// Over a `cluster`: what reads ask for, each of them, whenever it is sent. `not_before` and `timeout` have no effect.
  read_options reads = {};

  /// A connection whose statement has been running for `stall_after`.
  struct stall {
    bool read = false;           ///< it is one for reads
    std::size_t in_flight = 0;   ///< statements on it, this one included
    duration running{};          ///< for how long
    std::string_view statement;  ///< empty where nobody waits for it any more
  };
  /// Called in a turn of the multiplexer, once for each stall. It must not throw.
  std::function<void(const stall&)> on_stall = {};
  /// Gets a span for each statement, from its call to its answer, with its tag, its prepared name and how much of the time it was queued;
  /// not for those that are refused as `bad_usage`. Null: nothing is traced, for one test of a pointer a statement. The statements by which
  /// a connection is made one for reads are traced by `options::tracing` of the driver.
  std::shared_ptr<tidepool::tracing> tracing = {};

  /// What is wrong with it, in words; empty: nothing.
  TIDEPOOL_LAZY std::string faults() const;
};

/// Why a multiplexer did not execute a statement: `code()` is `tidepool::errc::queue_full`, `timeout` or `closed`. It was not executed,
/// except that a read may have been where it says `timeout` or `closed`.
class multiplexer_error : public system_error {
 public:
  /// `text` is all that `what()` says.
  multiplexer_error(tidepool::errc why, const std::string& text) : system_error(make_error_code(why)), text_(text) {}
  /// In words, beginning with "multiplexer: ".
  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;  // is copied without an allocation
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/multiplexer_options.ipp"
#endif

#endif
