// SPDX-License-Identifier: BSL-1.0
// tidepool - LISTEN: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_LISTENER_IPP
#define TIDEPOOL_POSTGRES_IMPL_LISTENER_IPP

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../detail/shell/timed_work.hpp"
#include "../../version.hpp"
#include "../detail/second.hpp"
#include "../detail/session.hpp"
#include "../detail/waiting.hpp"
#include "../listener.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY asio::awaitable<std::optional<notification>> listener::next() { return next_one(); }
TIDEPOOL_LAZY_BODY asio::awaitable<std::optional<notification>> listener::next(within limit) { return next_within(limit.limit()); }
TIDEPOOL_LAZY_BODY asio::awaitable<void> listener::close() {
  auto old = std::exchange(connection_, postgres::connection());
  co_await old.close();
}

TIDEPOOL_LAZY_BODY asio::awaitable<std::optional<notification>> listener::next_within(duration limit) {
  const auto end = co_await tidepool::detail::run_timed<detail::real_timer>(limit, next_one());
  if (end->timed_out()) {
    throw error(errc::response_timeout, "no notification within " + detail::in_words(limit) + "; the listener goes on as before");
  }
  if (end->failure) std::rethrow_exception(end->failure);
  co_return std::move(*end->value);
}
TIDEPOOL_LAZY_BODY asio::awaitable<std::optional<notification>> listener::next_one() {
  const detail::one_call only(in_call_, "a listener");
  const bool fresh = !connection_;
  if (fresh) co_await connect();
  if (fresh) co_return std::nullopt;
  for (;;) {
    auto held = connection_.session();
    auto& s = *held;
    if (!s.inbox.empty()) {
      // A burst is returned in parts, and between them other coroutines of the event loop run.
      if (++in_a_row_ > most_in_a_row) {
        in_a_row_ = 0;
        co_await tidepool::detail::give_way();
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
      co_await tidepool::detail::await_socket(s.socket(detail::wait_type::wait_read), detail::wait_type::wait_read, failure);
      if (failure == asio::error::operation_aborted) throw system_error(failure);
      continue;
    }
    if (!alive && s.inbox.empty()) {
      connection_ = postgres::connection();
      held.reset();  // its socket must not stay open for as long as the next connect takes
      co_await connect();
      co_return std::nullopt;
    }
  }
}

TIDEPOOL_LAZY_BODY asio::awaitable<void> listener::connect() {
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
    co_await tidepool::detail::await_timer(timer);
  }
}
TIDEPOOL_LAZY_BODY asio::awaitable<void> listener::listen(postgres::connection& on) {
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
TIDEPOOL_LAZY_BODY std::chrono::milliseconds listener::pause(unsigned attempt) {
  thread_local auto random = detail::seeded_random();
  const int longest = std::min(50 << std::min(attempt, 7U), 5000);
  return std::chrono::milliseconds(longest / 2 + random.up_to(longest - longest / 2));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
