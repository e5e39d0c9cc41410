// SPDX-License-Identifier: BSL-1.0
// tidepool - a session with its verbs: what `session_base` promises.
#ifndef TIDEPOOL_SQLITE_DETAIL_LIVE_SESSION_HPP
#define TIDEPOOL_SQLITE_DETAIL_LIVE_SESSION_HPP

#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "../connection.hpp"
#include "backup_run.hpp"
#include "execute.hpp"
#include "session.hpp"
#include "stream_run.hpp"
#include "transact.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

template <class = void>
inline asio::awaitable<void> reset_with_hook(session_ptr s, duration limit) {
  co_await reset_session(s, limit);
  if (!s->settings().on_reset) co_return;
  connection borrowed{base_ptr(s)};
  std::exception_ptr failure;
  try {
    co_await s->settings().on_reset(borrowed);
  } catch (...) {
    failure = std::current_exception();
  }
  s->touched = false;
  if (failure) {
    s->note_broken("options::on_reset has failed");
    std::rethrow_exception(failure);
  }
}

template <class = void>
class basic_live_session final : public session {
 public:
  using session::session;

  asio::awaitable<result> execute(const base_ptr& self, request&& what) override { return detail::execute(of(self), std::move(what)); }
  asio::awaitable<void> script(const base_ptr& self, request&& what) override { return run_script(of(self), std::move(what)); }
  asio::awaitable<statement> prepare(const base_ptr& self, request&& what) override { return prepare_statement(of(self), std::move(what)); }
  asio::awaitable<void> run(const base_ptr& self, std::shared_ptr<any_run> what, duration limit) override {
    return call_there(of(self), std::move(what), limit);
  }
  std::unique_ptr<row_source> begin_stream(const base_ptr& self, request&& what) override {
    return std::make_unique<stream_run>(of(self), std::move(what));
  }
  asio::awaitable<void> transact(const base_ptr& self, std::shared_ptr<any_body> body, const transaction_options& wanted) override {
    return run_transaction(of(self), std::move(body), wanted);
  }
  asio::awaitable<void> save(const base_ptr& self, std::shared_ptr<any_body> body, unsigned depth, duration within) override {
    return run_savepoint(of(self), std::move(body), depth, within);
  }
  asio::awaitable<void> backup(const base_ptr& self, std::string to, const backup_options& how) override {
    return copy_database(of(self), std::move(to), how);
  }
  asio::awaitable<void> ping(const base_ptr& self, std::string query, duration limit) override {
    return check_alive(of(self), std::move(query), limit);
  }
  asio::awaitable<void> reset(const base_ptr& self, duration limit) override { return reset_with_hook(of(self), limit); }
  asio::awaitable<void> close(const base_ptr& self) override { return close_session(of(self)); }
  void let_go(const base_ptr&) noexcept override {
    if (busy) stop.abort("the connection was destroyed while an operation of it was running");
  }

 private:
  static session_ptr of(const base_ptr& self) { return std::static_pointer_cast<session>(self); }
};
using live_session = basic_live_session<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
