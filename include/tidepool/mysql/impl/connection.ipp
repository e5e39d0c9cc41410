// SPDX-License-Identifier: BSL-1.0
// tidepool - connections: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_CONNECTION_IPP
#define TIDEPOOL_MYSQL_IMPL_CONNECTION_IPP

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../connection.hpp"
#include "../detail/connect.hpp"
#include "../detail/kill.hpp"
#include "../detail/limits.hpp"
#include "../detail/live_session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

namespace detail {

/// Owned by the connection.
template <class = void>
inline session& state_of(const base_ptr& s) noexcept {
  return static_cast<session&>(*s);
}

template <class = void>
inline asio::awaitable<connection> connect_as(asio::any_io_executor executor, std::shared_ptr<const options> settings,
                                              std::shared_ptr<address_memory> memory, clock::time_point until) {
  std::function<asio::awaitable<void>(session_ptr)> hook;
  if (settings->on_connect) hook = &run_connect_hook<>;
  auto made = co_await connect_to_server(std::move(executor), std::move(settings), std::move(memory), until, std::move(hook));
  co_return connection(std::move(made));
}
template <class = void>
inline asio::awaitable<connection> connect_here(std::shared_ptr<const options> settings) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  auto memory = std::make_shared<address_memory>();
  co_return co_await connect_as(here, std::move(settings), std::move(memory), clock::time_point::max());
}

}  // namespace detail

TIDEPOOL_LAZY_BODY asio::awaitable<connection> connection::connect(options settings) {
  return detail::connect_here(std::make_shared<const options>(std::move(settings)));
}
TIDEPOOL_LAZY_BODY asio::awaitable<connection> connection::connect(asio::any_io_executor executor, std::shared_ptr<const options> settings,
                                                                   std::shared_ptr<detail::address_memory> memory,
                                                                   std::chrono::steady_clock::time_point until) {
  return detail::connect_as(std::move(executor), std::move(settings), std::move(memory), until);
}

TIDEPOOL_LAZY_BODY bool connection::usable() const noexcept {
  if (!session_) return false;
  auto& s = detail::state_of(session_);
  return !s.busy && !s.needs_reset && !s.outdated && !s.wrong_role && s.cancels->in_flight.load() == 0 && s.is_idle() &&
         !s.in_transaction() && s.alive();
}
TIDEPOOL_LAZY_BODY lease_end connection::after_lease() const noexcept {
  if (!session_) return lease_end::broken;
  auto& s = detail::state_of(session_);
  if (s.outdated) return lease_end::outdated;
  const bool shut = s.shutdown->reason() != detail::shutdown_reason::none;
  if (s.broken || s.busy || s.wrong_role || shut || s.cancels->in_flight.load() != 0 || !s.is_idle()) return lease_end::broken;
  if (s.has_grown()) return lease_end::retired;
  const auto level = s.settings().reset;
  if (s.in_transaction() || s.needs_reset) return level == reset_level::none ? lease_end::broken : lease_end::needs_reset;
  const bool always = level == reset_level::full || s.settings().on_reset;
  return always && s.touched ? lease_end::needs_reset : lease_end::clean;
}

TIDEPOOL_LAZY_BODY void connection::abort(std::string_view why) noexcept {
  if (session_) detail::state_of(session_).shutdown->request(detail::shutdown_reason::aborted, why);
}
TIDEPOOL_LAZY_BODY void connection::watch(std::function<void()> gone) {
  if (session_) detail::state_of(session_).watch(std::move(gone));
}
TIDEPOOL_LAZY_BODY std::chrono::steady_clock::time_point connection::last_round_trip() const noexcept {
  return session_ ? detail::state_of(session_).last_answer : std::chrono::steady_clock::time_point();
}
TIDEPOOL_LAZY_BODY std::string connection::why_broken() const { return session_ ? detail::state_of(session_).why_broken() : std::string(); }
TIDEPOOL_LAZY_BODY void connection::rejected() noexcept {
  if (!session_) return;
  auto& s = detail::state_of(session_);
  if (!s.addresses) return;
  try {
    s.addresses->remember(s.peer, detail::address_memory::mark::wrong_role, s.settings().bad_host_memory);
  } catch (...) {  // out of memory: it keeps its place
  }
}
TIDEPOOL_LAZY_BODY void connection::context_gone() noexcept {
  if (!session_) return;
  detail::state_of(session_).drop_socket();
  detail::state_of(session_).broken = true;
}
TIDEPOOL_LAZY_BODY std::chrono::steady_clock::time_point connection::waiting_since() const noexcept {
  return session_ ? detail::state_of(session_).waiting_since() : std::chrono::steady_clock::time_point();
}
TIDEPOOL_LAZY_BODY void connection::trace_in(const trace_context& parent) noexcept {
  if (session_ && detail::state_of(session_).traced) detail::state_of(session_).traced->within(parent);
}
TIDEPOOL_LAZY_BODY std::size_t connection::memory_bytes() const noexcept {
  return native() == nullptr ? 0 : detail::state_of(session_).memory_bytes();
}
TIDEPOOL_LAZY_BODY std::size_t connection::driver_threads() noexcept {
  return static_cast<std::size_t>(tidepool::detail::driver::side_threads_running().load(std::memory_order_relaxed));
}
TIDEPOOL_LAZY_BODY mysql::canceller connection::canceller() {
  const auto s = session();
  return mysql::canceller(
      std::make_shared<const detail::cancel_target>(detail::cancel_target{s->shared_settings(), s->where, s->thread_id, s->cancels}));
}
TIDEPOOL_LAZY_BODY std::string_view connection::peer() const noexcept {
  return session_ ? std::string_view(detail::state_of(session_).peer) : std::string_view();
}
TIDEPOOL_LAZY_BODY bool connection::in_transaction() const noexcept { return session_ && detail::state_of(session_).in_transaction(); }
TIDEPOOL_LAZY_BODY unsigned long connection::thread_id() const noexcept { return session_ ? detail::state_of(session_).thread_id : 0; }
TIDEPOOL_LAZY_BODY unsigned long connection::server_version() const noexcept {
  return native() == nullptr ? 0 : mysql_get_server_version(native());
}
TIDEPOOL_LAZY_BODY std::string_view connection::server_info() const noexcept {
  const char* const text = native() == nullptr ? nullptr : mysql_get_server_info(native());
  return text == nullptr ? std::string_view() : std::string_view(text);
}
TIDEPOOL_LAZY_BODY bool connection::is_mariadb() const noexcept { return native() != nullptr && detail::state_of(session_).is_mariadb(); }
TIDEPOOL_LAZY_BODY bool connection::encrypted() const noexcept { return session_ && detail::state_of(session_).encrypted; }
TIDEPOOL_LAZY_BODY std::size_t connection::statements_kept() const noexcept {
  return session_ ? detail::state_of(session_).prepared.size() : 0;
}

TIDEPOOL_LAZY_BODY detail::session_ptr connection::session() const { return std::static_pointer_cast<detail::session>(live()); }
TIDEPOOL_LAZY_BODY void connection::refuse() { throw error(errc::connection_lost, "the connection is closed"); }

TIDEPOOL_LAZY_BODY asio::awaitable<std::vector<limit_finding>> connection::lint(const pool_config& config) {
  const auto s = session();
  if (!s->settings().lint) return detail::no_findings();
  return detail::find_limits(s, config, std::chrono::seconds(2));
}
TIDEPOOL_LAZY_BODY asio::awaitable<std::vector<limit_finding>> lint(connection& with, const pool_config& config, duration limit) {
  return detail::find_limits(with.session(), config, limit);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
