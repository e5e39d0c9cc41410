// SPDX-License-Identifier: BSL-1.0
// tidepool - the exception that says why an acquire failed, with the state of the pool.
#ifndef TIDEPOOL_POOL_ERROR_HPP
#define TIDEPOOL_POOL_ERROR_HPP

#include <cstdio>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "error.hpp"
#include "events.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// A consistent snapshot of the pool when an acquire or `open()` failed. It is taken at that time, even if the caller's coroutine resumes
/// later.
struct error_report {
  std::string pool;  ///< its name
  errc why{};
  duration waited{};  ///< by this caller
  pool_state state{};
  breaker_state breaker{};
  std::size_t active = 0;  ///< leased
  std::size_t idle = 0;
  std::size_t connecting = 0;
  std::size_t validating = 0;
  std::size_t resetting = 0;
  std::size_t closing = 0;
  std::size_t max_size = 0;
  std::size_t waiting = 0;            ///< other callers that still wait
  std::size_t silent = 0;             ///< leases that have waited for their server's answer for 5 s, or half the `response_timeout`
  duration longest_silence{};         ///< the longest of these waits
  std::string silent_server;          ///< the server of the longest; empty when the connection has no `peer()`
  std::vector<lease_report> holders;  ///< the longest held leases, at most eight
  std::string last_connect_error;     ///< the connector's text, at most 512 bytes; empty when the last connect succeeded
  duration last_connect_error_age{};  ///< valid only with an error

  /// In words, what the caller had to wait for.
  const char* bottleneck() const noexcept {
    if (why == errc::connect_failed || why == errc::circuit_open) return "connecting fails";
    if (state == pool_state::suspended) return "the pool is suspended";
    if (state == pool_state::closing || state == pool_state::closed) return "the pool is closed";
    if (silent > 0 && silent * 2 >= active) return "the server is silent";
    if (active >= max_size) return "every connection is leased";
    if (connecting > 0) return "a connect was under way";
    if (validating > 0) return "a validation was under way";
    if (resetting > 0) return "a reset was under way";
    if (closing > 0) return "connections were being closed";
    if (!last_connect_error.empty()) return "connecting fails";
    return "no connection was free";
  }
  /// All of it in one line. Holds no secret, unless the connector has put one into its error text.
  std::string text() const {
    const auto seconds = [](duration d) {
      char out[32];
      std::snprintf(out, sizeof out, "%.3f s", std::chrono::duration<double>(d).count());
      return std::string(out);
    };
    std::string out = "pool \"" + pool + "\" (" + to_string(state) + "): waited " + seconds(waited) + ", " + bottleneck() + "; " +
                      std::to_string(active) + " leased + " + std::to_string(idle) + " idle + " + std::to_string(connecting) +
                      " connecting + " + std::to_string(validating + resetting + closing) + " in upkeep of at most " +
                      std::to_string(max_size) + ", " + std::to_string(waiting) + " others waiting";
    if (silent > 0) {
      out += "; the server" + (silent_server.empty() ? "" : " " + silent_server) + " has been silent for " + seconds(longest_silence) +
             " in " + std::to_string(silent) + " of " + std::to_string(active) + " leases";
    }
    if (breaker != breaker_state::closed) out += std::string("; breaker ") + to_string(breaker);
    if (!last_connect_error.empty()) out += "; last connect error " + seconds(last_connect_error_age) + " ago: " + last_connect_error;
    for (std::size_t i = 0; i < holders.size(); ++i) {
      const lease_report& lease = holders[i];
      out += (i ? ", #" : "; held longest: #") + std::to_string(lease.id) + " for " + seconds(lease.held) + " from " +
             lease.acquired_at.file_name() + ":" + std::to_string(lease.acquired_at.line());
      if (!lease.label.empty()) out += " (" + std::string(lease.label.view()) + ")";
      if (lease.waiting >= std::chrono::seconds(1)) out += ", waiting for the server for " + seconds(lease.waiting);
    }
    return out;
  }
};

/// Thrown by `acquire()`, by `open()`, and by a `close()` that is cancelled, or during which the pool object is destroyed. `code()` is an
/// `errc`, `what()` all of the report in one line, `report()` the same as data. Copies are cheap and do not throw. Completion tokens get
/// the code alone.
class pool_error : public std::system_error {
 public:
  pool_error(errc code, error_report report)
      : std::system_error(make_error_code(code), report.text()), report_(std::make_shared<const error_report>(std::move(report))) {}

  const error_report& report() const noexcept { return *report_; }

 private:
  std::shared_ptr<const error_report> report_;  // copies of an exception must not throw
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
