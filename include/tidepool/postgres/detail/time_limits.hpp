// SPDX-License-Identifier: BSL-1.0
// tidepool - how long an operation may wait for the server, since when it does, and how it is stopped.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TIME_LIMITS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TIME_LIMITS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "../cancel.hpp"
#include "../options.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// An operation that is being stopped: it is cancelled on the server, then read to its end, so that the connection stays usable. The code
/// that runs it goes on as before; only its waits are bounded by `until`, when the socket is shut.
struct stopping {
  enum class cause : unsigned char { late, cancelled, closed };
  cause why;
  duration limit;                  ///< for `late`: the limit that was passed
  clock::time_point silent_since;  ///< when the wait began that led to this
  clock::time_point until;         ///< for `closed`: begins again whenever the server sends something
  clock::time_point next_request;  ///< one that comes before the server has begun the statement has no effect, so more are sent
  duration pause;                  ///< between requests
  cancel_handle request;
  bool throws = true;  ///< `throw_if_cancelled` before the stop, to be restored
};

/// The time limits of one session. `begin()` starts every operation.
template <class = void>
class basic_time_limits {
 public:
  basic_time_limits(duration each, session_attrs wanted) : after_connect_(each) {
    const bool any = wanted == session_attrs::any || wanted == session_attrs::prefer_standby;
    if (!any) long_silence_ = std::min<duration>(each, std::chrono::seconds(5));
  }

  /// From now on each answer has its limit. Before, while the session begins, the connect's own deadline bounds all of it.
  void connected() noexcept { usual_ = after_connect_; }

  void begin() noexcept {
    each_ = usual_;
    whole_ = clock::time_point::max();
    watched_ = each_ != no_limit;
    stop_.reset();
  }
  /// For the rest of the operation: bounds each wait, or the whole.
  void each_within(duration limit) noexcept {
    each_ = std::min(each_, limit);
    watched_ = each_ != no_limit;
  }
  void all_within(duration limit) noexcept {
    each_within(limit);
    whole_ = later(clock::now(), limit);
  }
  duration each() const noexcept { return each_; }
  clock::time_point whole() const noexcept { return whole_; }
  /// True: waits are bounded. False: only the socket is waited for.
  bool watched() const noexcept { return watched_; }

  std::optional<stopping>& stop() noexcept { return stop_; }
  const std::optional<stopping>& stop() const noexcept { return stop_; }
  void stop_with(stopping what) {
    stop_ = std::move(what);
    watched_ = true;
  }

  /// Around every wait for the server.
  void waits() noexcept {
    began_ = coarse_now();
    since_.store(began_.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void waited() noexcept {
    since_.store(0, std::memory_order_relaxed);
    if (long_silence_ != no_limit && coarse_now() - began_ >= long_silence_) was_silent_ = true;
  }
  void note_silence() noexcept { was_silent_ = long_silence_ != no_limit; }
  /// True once after a long silence, where `target_session_attrs` asks for a kind of server: it may be of another kind by now.
  bool take_long_silence() noexcept { return std::exchange(was_silent_, false); }
  bool was_silent() const noexcept { return was_silent_; }
  /// Since when an answer is awaited, from any thread; zero when none is.
  clock::time_point waiting_since() const noexcept { return clock::time_point(clock::duration(since_.load(std::memory_order_relaxed))); }

 private:
  duration after_connect_;
  duration usual_ = no_limit;
  duration each_ = no_limit;
  clock::time_point whole_ = clock::time_point::max();
  duration long_silence_ = no_limit;
  bool watched_ = false;
  bool was_silent_ = false;
  clock::time_point began_{};
  std::atomic<clock::rep> since_{0};
  std::optional<stopping> stop_;
};
using time_limits = basic_time_limits<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
