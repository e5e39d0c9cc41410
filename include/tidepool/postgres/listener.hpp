// SPDX-License-Identifier: BSL-1.0
// tidepool - LISTEN: notifications over a connection of its own, which is made again when it is lost.
#ifndef TIDEPOOL_POSTGRES_LISTENER_HPP
#define TIDEPOOL_POSTGRES_LISTENER_HPP

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "../detail/shell/timed_work.hpp"
#include "../version.hpp"
#include "connection.hpp"
#include "connector.hpp"

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
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<notification>> next() { return next_one(); }
  /// The same with a time limit, connecting included: `errc::response_timeout` when nothing has come by then. Nothing is lost by that. A
  /// limit that is shorter than a connect takes never gets one.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<notification>> next(within limit) {
    return next_within(limit.limit());
  }

  /// Ends the connection; `next()` makes a new one.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() {
    auto old = std::exchange(connection_, postgres::connection());
    co_await old.close();
  }
  /// 0 while there is no connection.
  int backend_pid() const noexcept { return connection_.backend_pid(); }

 private:
  struct context {
    asio::any_io_executor where;
    const asio::any_io_executor& executor() const noexcept { return where; }
  };

  asio::awaitable<std::optional<notification>> next_within(duration limit) {
    const auto end = co_await tidepool::detail::run_timed<detail::real_timer>(limit, next_one());
    if (end->timed_out()) {
      throw error(errc::response_timeout, "no notification within " + detail::in_words(limit) + "; the listener goes on as before");
    }
    if (end->failure) std::rethrow_exception(end->failure);
    co_return std::move(*end->value);
  }
  asio::awaitable<std::optional<notification>> next_one() {
    const detail::one_call only(in_call_, "a listener");
    const bool fresh = !connection_;
    if (fresh) co_await connect();
    if (fresh) co_return std::nullopt;
    for (;;) {
      auto& s = *connection_.session();
      if (!s.inbox.empty()) {
        // A burst is returned in parts, and between them other coroutines of the event loop run.
        if (++in_a_row_ > most_in_a_row) {
          in_a_row_ = 0;
          co_await asio::post(asio::use_awaitable);
          continue;
        }
        notification got = std::move(s.inbox.front());
        s.inbox.pop_front();
        co_return got;
      }
      const bool alive = s.alive();
      if (alive && s.inbox.empty()) {
        in_a_row_ = 0;
        error_code failure;
        co_await s.async_wait(detail::wait_type::wait_read, failure);
        if (failure == asio::error::operation_aborted) throw system_error(failure);
        continue;
      }
      if (!alive && s.inbox.empty()) {
        connection_ = postgres::connection();
        co_await connect();
        co_return std::nullopt;
      }
    }
  }

  asio::awaitable<void> connect() {
    const context here{co_await asio::this_coro::executor};
    for (unsigned attempt = 0;; ++attempt) {
      bool retry = false;
      try {
        auto made = co_await from_(here);
        co_await listen(made);
        connection_ = std::move(made);
      } catch (const connect_error& failure) {
        if (failure.kind() == failure_kind::permanent) throw;
        retry = true;
      } catch (const error& failure) {
        if (!failure.connection_lost()) throw;
        retry = true;
      }
      if (!retry) co_return;
      detail::real_timer timer(here.where);
      timer.expires_after(pause(attempt));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }
  asio::awaitable<void> listen(postgres::connection& on) {
    if (on.behind_pooler()) {
      throw error(errc::bad_usage, std::string(on.peer()) +
                                       ": a pooler is in between, and LISTEN needs a server process of its own: connect to the server "
                                       "itself, or set options.session_pooler where the pooler keeps one process for each client");
    }
    on.session()->listening = true;
    std::string sql;
    for (const auto& channel : channels_) {
      const std::unique_ptr<char, decltype(&PQfreemem)> name(PQescapeIdentifier(on.native(), channel.data(), channel.size()), &PQfreemem);
      if (!name) throw error(errc::bad_parameter, "a channel's name is not valid in the encoding of the connection");
      sql += "listen " + std::string(name.get()) + ";";
    }
    co_await on.script(sql);
  }
  static std::chrono::milliseconds pause(unsigned attempt) {
    thread_local auto random = detail::seeded_random();
    const int longest = std::min(50 << std::min(attempt, 7U), 5000);
    return std::chrono::milliseconds(std::uniform_int_distribution<int>(longest / 2, longest)(random));
  }

  static constexpr int most_in_a_row = 64;

  connector from_;
  std::vector<std::string> channels_;
  postgres::connection connection_;
  int in_a_row_ = 0;
  bool in_call_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
