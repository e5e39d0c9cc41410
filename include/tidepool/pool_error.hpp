// SPDX-License-Identifier: BSL-1.0
// tidepool - the exception that says why an operation of the pool failed, with the state of the pool.
#ifndef TIDEPOOL_POOL_ERROR_HPP
#define TIDEPOOL_POOL_ERROR_HPP

#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "detail/util/attributes.hpp"
#include "detail/util/linkage.hpp"
#include "error.hpp"
#include "events.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// An operation of the pool that can fail.
enum class pool_call { acquire, open, close, detach };

/// The pool when an operation failed, as one consistent snapshot. It is taken at that time, even if the caller's coroutine resumes later.
struct error_report {
  std::string pool;  ///< its name
  errc why{};
  pool_call call = pool_call::acquire;
  source_location where{};    ///< of the call; in `detach()` of the acquire
  duration limit = no_limit;  ///< how long the caller would have waited; of `acquire()` and `open()`
  duration waited{};          ///< by this caller; in `detach()` since the acquire
  pool_state state{};
  bool destroyed = false;                          ///< the pool object is gone
  close_reason taken_back = close_reason::count_;  ///< why the pool has shut the connection; of `detach()`
  breaker_state breaker{};
  std::size_t active = 0;  ///< leased
  std::size_t idle = 0;
  std::size_t connecting = 0;
  std::size_t validating = 0;
  std::size_t resetting = 0;
  std::size_t closing = 0;
  std::size_t min_size = 0;
  std::size_t max_size = 0;
  std::size_t max_waiting = 0;
  std::size_t waiting = 0;            ///< other callers that still wait
  std::size_t silent = 0;             ///< leases that have waited for their server's answer for 5 s, or half the `response_timeout`
  duration longest_silence{};         ///< the longest of these waits
  std::string silent_server;          ///< the server of the longest; empty when the connection has no `peer()`
  std::vector<lease_report> holders;  ///< the longest held leases, at most eight
  std::string last_connect_error;     ///< the connector's text, at most 512 bytes; empty when the last connect succeeded
  duration last_connect_error_age{};  ///< valid only with an error
  std::size_t connect_failures = 0;   ///< in a row; zero: the next four mean nothing
  failure_kind connect_failure{};     ///< of the latest
  duration connects_fail_for{};       ///< since the first of the row
  duration next_connect = no_limit;  ///< until the pool may connect again; `no_limit`: a connect is under way, or the pool does not connect
  bool next_connect_by_itself = true;  ///< the pool makes it by itself; false: the next acquire makes it, because nothing else needs one

  /// In words, what the caller had to wait for.
  TIDEPOOL_DECL const char* bottleneck() const noexcept;
  bool server_is_silent() const noexcept { return silent > 0 && silent * 2 >= active; }
  bool connecting_fails() const noexcept { return connect_failures > 0 || !last_connect_error.empty(); }

  /// One sentence: what failed, where it was asked for, how long it took, and the cause; then, where there is more to say, one line of
  /// details and of what to do, after `between`. Holds no secret, unless the connector has put one into its error text.
  TIDEPOOL_DECL std::string text(std::string_view between = "\n") const;
};

/// Thrown by `acquire()`, `open()` and `detach()`, and by a `close()` that is cancelled, or during which the pool object is destroyed; for
/// callbacks and futures see `async_acquire()`. `code()` is an `errc`, `what()` the text of the report, `report()` the same as data. Copies
/// are cheap and do not throw.
class TIDEPOOL_EXPORT pool_error : public system_error {
 public:
  TIDEPOOL_DECL pool_error(errc code, error_report report);

  pool_error(const pool_error&) = default;
  pool_error& operator=(const pool_error&) = default;
  // Out of line: GCC 12 warns of an empty `std::optional<pool_error>` that is not initialized, wrongly, where it sees what this does.
  TIDEPOOL_NOINLINE ~pool_error() override {}

  const char* what() const noexcept override { return told_->text.c_str(); }
  const error_report& report() const noexcept { return told_->report; }

 private:
  struct story {
    TIDEPOOL_DECL explicit story(error_report&& from);
    error_report report;
    std::string text;
  };
  std::shared_ptr<const story> told_;  // copies of an exception must not throw
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/pool_error.ipp"
#endif

#endif
