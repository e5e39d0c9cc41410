// SPDX-License-Identifier: BSL-1.0
// tidepool - connections: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_CONNECTION_IPP
#define TIDEPOOL_SQLITE_IMPL_CONNECTION_IPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "../connection.hpp"
#include "../detail/live_session.hpp"
#include "../detail/open.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

namespace detail {

/// Owned by the connection.
template <class = void>
inline session& state_of(const base_ptr& s) noexcept {
  return static_cast<session&>(*s);
}

template <class = void>
inline asio::awaitable<connection> connect_session(std::shared_ptr<const options> settings, std::shared_ptr<workers> threads,
                                                   steady::time_point until) {
  settings->check();
  const auto s = std::make_shared<live_session>(settings, std::move(threads));
  const auto body = [&] { open_here(*s); };
  const duration limit = until == steady::time_point::max() ? duration(no_limit) : std::max<duration>(until - real_now(), duration(1));
  s->busy = true;
  std::exception_ptr failure;
  std::unique_ptr<connect_error> late;
  try {
    co_await hop_to(s, body, limit);
  } catch (const connect_error&) {
    failure = std::current_exception();
  } catch (const error& other) {
    late = std::make_unique<connect_error>(errc::connect_failed, "cannot open " + s->peer + ": " + std::string(other.explanation()),
                                           diagnosis{}, failure_kind::transient);
  } catch (...) {
    failure = std::current_exception();
  }
  s->busy = false;
  if (late) throw connect_error(*late);
  if (failure) std::rethrow_exception(failure);
  connection made{base_ptr(s)};
  if (settings->on_connect) co_await settings->on_connect(made);
  s->touched = false;
  co_return made;
}
template <class = void>
inline asio::awaitable<connection> connect_alone(std::shared_ptr<const options> settings) {
  auto threads = std::make_shared<workers>(1, settings->look_time);
  co_return co_await connect_session(std::move(settings), std::move(threads), steady::time_point::max());
}

}  // namespace detail

TIDEPOOL_LAZY_BODY asio::awaitable<connection> connection::connect(options settings) {
  return detail::connect_alone(std::make_shared<const options>(std::move(settings)));
}
TIDEPOOL_LAZY_BODY asio::awaitable<connection> connection::connect(std::shared_ptr<const options> settings,
                                                                   std::shared_ptr<detail::workers> threads,
                                                                   std::chrono::steady_clock::time_point until) {
  return detail::connect_session(std::move(settings), std::move(threads), until);
}

TIDEPOOL_LAZY_BODY bool connection::usable() const noexcept {
  if (!session_) return false;
  auto& s = detail::state_of(session_);
  // Whether it is busy first: the rest may be written by the operation's thread.
  return !s.busy && !s.broken && !s.needs_reset && !s.stop.is_aborted() && s.db() != nullptr && !s.in_transaction();
}
TIDEPOOL_LAZY_BODY lease_end connection::after_lease() const noexcept {
  if (!session_) return lease_end::broken;
  auto& s = detail::state_of(session_);
  if (s.busy || s.broken || s.stop.is_aborted() || s.db() == nullptr) return lease_end::broken;
  if (s.needs_reset || s.in_transaction()) {
    return s.settings().reset == reset_level::none ? lease_end::broken : lease_end::needs_reset;
  }
  return s.settings().on_reset && s.touched ? lease_end::needs_reset : lease_end::clean;
}

TIDEPOOL_LAZY_BODY void connection::abort(std::string_view why) noexcept {
  if (session_) detail::state_of(session_).stop.abort(why);
}
TIDEPOOL_LAZY_BODY std::chrono::steady_clock::time_point connection::last_round_trip() const noexcept {
  return session_ ? detail::state_of(session_).last_answer : std::chrono::steady_clock::time_point();
}
TIDEPOOL_LAZY_BODY void connection::trace_in(const trace_context& parent) noexcept {
  if (session_ && detail::state_of(session_).traced) detail::state_of(session_).traced->within(parent);
}
TIDEPOOL_LAZY_BODY std::size_t connection::memory_bytes() const noexcept {
  std::size_t out = 0;
  if (native() == nullptr) return out;
  for (const int what : {SQLITE_DBSTATUS_CACHE_USED, SQLITE_DBSTATUS_SCHEMA_USED, SQLITE_DBSTATUS_STMT_USED}) {
    int now = 0;
    int most = 0;
    if (sqlite3_db_status(native(), what, &now, &most, 0) == SQLITE_OK && now > 0) out += static_cast<std::size_t>(now);
  }
  return out;
}
TIDEPOOL_LAZY_BODY std::size_t connection::driver_threads() noexcept {
  return detail::worker_threads_running().load(std::memory_order_relaxed);
}
TIDEPOOL_LAZY_BODY std::string connection::why_broken() const {
  if (!session_) return {};
  auto& s = detail::state_of(session_);
  if (s.stop.is_aborted()) return std::string(s.stop.words().empty() ? "the connection was aborted" : s.stop.words());
  return s.busy ? "an operation was not finished" : s.ended;
}
TIDEPOOL_LAZY_BODY std::chrono::steady_clock::time_point connection::waiting_since() const noexcept {
  return session_ ? detail::state_of(session_).stop.since() : std::chrono::steady_clock::time_point();
}
TIDEPOOL_LAZY_BODY std::string_view connection::peer() const noexcept {
  return session_ ? std::string_view(detail::state_of(session_).peer) : std::string_view();
}
TIDEPOOL_LAZY_BODY connection::operator bool() const noexcept { return native() != nullptr; }
TIDEPOOL_LAZY_BODY bool connection::in_transaction() const noexcept { return session_ && detail::state_of(session_).in_transaction(); }
TIDEPOOL_LAZY_BODY bool connection::reads_only() const noexcept { return session_ && detail::state_of(session_).reads_only; }
TIDEPOOL_LAZY_BODY std::size_t connection::cached_statements() const noexcept {
  return session_ ? detail::state_of(session_).statements.size() : 0;
}
TIDEPOOL_LAZY_BODY sqlite3* connection::native() const noexcept { return session_ ? detail::state_of(session_).db() : nullptr; }
TIDEPOOL_LAZY_BODY void connection::refuse() { throw error(errc::connection_lost, "the connection is closed"); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
