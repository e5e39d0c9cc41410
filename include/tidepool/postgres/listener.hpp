// SPDX-License-Identifier: BSL-1.0
// tidepool - LISTEN: notifications over a connection of its own, which is made again when it is lost.
#ifndef TIDEPOOL_POSTGRES_LISTENER_HPP
#define TIDEPOOL_POSTGRES_LISTENER_HPP

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "connection.hpp"
#include "connector.hpp"
#include "notification.hpp"
#include "within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Waits for NOTIFY on some channels. Owns its connection: one from a pool would lose its LISTENs, or keep them for its next holder.
///
///     pg::listener inbox(pg::connector("host=db"), {"jobs"});
///     for (;;) {
///       const auto got = co_await inbox.next();
///       if (got) work(got->payload); else look_for_what_was_missed();
///     }
/// Not thread safe; one `next()` at a time. A server that vanishes without closing the socket is noticed by TCP keepalive (see `options`).
class listener {
 public:
  listener(connector from, std::vector<std::string> channels) : from_(std::move(from)), channels_(std::move(channels)) {}

  /// The next notification, in the server's order. Empty each time a connection was made, the first one and after every loss: notifications
  /// that were sent before are not repeated, so look at the tables then.
  /// Connects when needed, again and again with pauses from 50 ms to 5 s. Throws `connect_error` only for failures that would repeat
  /// (`permanent`); `errc::bad_usage` behind a pooler, where notifications may reach another client, unless `options::session_pooler` is
  /// set; and the server's error for a channel it refuses. Cancellation: notifications that have arrived are not lost.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<notification>> next();
  /// The same with a time limit, connecting included: `errc::response_timeout` when nothing has come by then. Nothing is lost by that. A
  /// limit that is shorter than a connect takes never gets one.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<notification>> next(within limit);

  /// Ends the connection; `next()` makes a new one.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close();
  /// 0 while there is no connection.
  int backend_pid() const noexcept { return connection_.backend_pid(); }

 private:
  struct context {
    asio::any_io_executor where;
    const asio::any_io_executor& executor() const noexcept { return where; }
  };

  TIDEPOOL_LAZY asio::awaitable<std::optional<notification>> next_within(duration limit);
  TIDEPOOL_LAZY asio::awaitable<std::optional<notification>> next_one();
  TIDEPOOL_LAZY asio::awaitable<void> connect();
  TIDEPOOL_LAZY asio::awaitable<void> listen(postgres::connection& on);
  TIDEPOOL_LAZY static std::chrono::milliseconds pause(unsigned attempt);

  static constexpr int most_in_a_row = 64;

  connector from_;
  std::vector<std::string> channels_;
  postgres::connection connection_;
  int in_a_row_ = 0;
  bool in_call_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/listener.ipp"
#endif

#endif
