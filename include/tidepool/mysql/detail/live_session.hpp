// SPDX-License-Identifier: BSL-1.0
// tidepool - the verbs of a session, for callers that know no more of it than its virtual functions.
// Before the guard: connection.hpp includes this file where its own declarations are complete.
#include "../connection.hpp"

#ifndef TIDEPOOL_MYSQL_DETAIL_LIVE_SESSION_HPP
#define TIDEPOOL_MYSQL_DETAIL_LIVE_SESSION_HPP

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../detail/shell/timed_work.hpp"
#include "../../version.hpp"
#include "connect.hpp"
#include "kill.hpp"
#include "perform.hpp"
#include "reset.hpp"
#include "stream_run.hpp"
#include "transact.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

template <class = void>
inline asio::awaitable<void> run_connect_hook(session_ptr s) {
  connection same(s);
  co_await s->settings().on_connect(same);
}

/// A `;` that ends the text is none between two statements. One within quotes counts too, which costs two round trips.
template <class = void>
inline bool holds_several(std::string_view sql) noexcept {
  const auto end = sql.find_last_not_of(" \t\r\n;");
  return end != std::string_view::npos && sql.substr(0, end).find(';') != std::string_view::npos;
}
template <class = void>
inline asio::awaitable<void> run_script(session_ptr s, request what) {
  what.as_text = true;
  what.verb = "script()";
  what.several = holds_several(what.sql);
  co_await perform(std::move(s), std::move(what));
}

template <class = void>
inline asio::awaitable<statement> prepare(session_ptr s, request what) {
  operation running(*s, "prepare()");
  if (s->traced) running.trace("PREPARE", what.from);
  if (what.limit != no_limit) s->all_within(what.limit);
  s->current = &what;
  outcome all;
  MYSQL_STMT* of = find_prepared(*s, what.sql);
  if (of == nullptr) of = co_await prepare_statement(s, what.sql, all);
  std::size_t parameters = 0;
  std::vector<std::string> columns;
  if (of != nullptr) {
    parameters = mysql_stmt_param_count(of);
    if (const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> told(mysql_stmt_result_metadata(of), &mysql_free_result); told) {
      const MYSQL_FIELD* const fields = mysql_fetch_fields(told.get());
      for (unsigned i = 0; i < mysql_num_fields(told.get()); ++i) columns.emplace_back(fields[i].name, fields[i].name_length);
    }
    if (s->passing != nullptr && !s->broken) {
      MYSQL_STMT* const gone = std::exchange(s->passing, nullptr);
      co_await close_statement(s, gone);
    }
  }
  if (s->stop) {
    if (!s->broken) {
      co_await settle(s);
    } else {
      co_await asio::this_coro::throw_if_cancelled(s->stop->throws);
    }
  }
  if (!s->broken && !all.failed.said.ends_session()) running.finished();
  if (all.failed.any || s->broken) throw_failure(*s, std::move(all.failed));
  s->note_answer();
  co_return statement(std::string(what.sql), parameters, std::move(columns));
}

template <class = void>
inline asio::awaitable<void> reset_session(session_ptr s, reset_level level) {
  const bool wiped = co_await wipe_session(s, level);
  connection same(s);
  if (wiped && s->settings().on_connect) co_await s->settings().on_connect(same);
  if (s->settings().on_reset) co_await s->settings().on_reset(same);
  s->touched = false;
}
template <class = void>
inline asio::awaitable<void> reset_marked(session_ptr s, reset_level level) {
  try {
    co_await reset_session(s, level);
  } catch (...) {
    s->needs_reset = true;
    throw;
  }
}
template <class = void>
inline asio::awaitable<void> reset_within(session_ptr s, reset_level level, duration limit) {
  const auto end = co_await tidepool::detail::run_timed<real_timer>(limit, reset_marked(s, level));
  if (end->timed_out()) {
    const std::string text = "reset() was not done within " + in_words(limit) + ": cancelled, ";
    if (s->broken) throw error(errc::server_silent, text + "and the connection was shut, because " + s->server_name() + " did not answer");
    throw error(errc::response_timeout, text + "the connection is kept");
  }
  if (end->failure) std::rethrow_exception(end->failure);
}

template <class = void>
class basic_live_session final : public session {
 public:
  using session::session;

  asio::awaitable<result> execute(const base_ptr& self, request&& what) override { return perform(of(self), std::move(what)); }
  asio::awaitable<void> script(const base_ptr& self, request&& what) override { return run_script(of(self), std::move(what)); }
  asio::awaitable<statement> prepare(const base_ptr& self, request&& what) override {
    return mysql::detail::prepare(of(self), std::move(what));
  }
  asio::awaitable<std::unique_ptr<row_source>> begin_stream(const base_ptr& self, request&& what) override {
    return mysql::detail::begin_stream(of(self), std::move(what));
  }
  asio::awaitable<void> transact(const base_ptr& self, std::shared_ptr<any_body> body, const transaction_options& wanted) override {
    return run_transaction(of(self), std::move(body), wanted);
  }
  asio::awaitable<void> save(const base_ptr& self, std::shared_ptr<any_body> body, unsigned depth, duration answer_within,
                             duration within) override {
    return run_savepoint(of(self), std::move(body), depth, answer_within, within);
  }
  asio::awaitable<void> ping(const base_ptr& self, std::string query, duration limit) override {
    return ping_session(of(self), std::move(query), limit);
  }
  asio::awaitable<void> reset(const base_ptr& self, std::optional<reset_level> level, duration limit) override {
    const auto wanted = level.value_or(this->settings().reset);
    if (limit == no_limit) return reset_session(of(self), wanted);
    return reset_within(of(self), wanted, limit);
  }
  asio::awaitable<void> close(const base_ptr& self) override { return close_gracefully(of(self)); }
  void let_go() noexcept override {
    // An operation that still runs holds the session, and nothing will read its answer: its socket is shut.
    if (this->busy) {
      this->shutdown->request(shutdown_reason::aborted,
                              "the connection was destroyed, or its lease given back, while an operation was running");
    }
  }

 private:
  static session_ptr of(const base_ptr& self) { return std::static_pointer_cast<session>(self); }
};
using live_session = basic_live_session<>;

template <class>
inline session_ptr make_session(asio::any_io_executor executor, std::shared_ptr<const options> settings) {
  return std::make_shared<live_session>(std::move(executor), std::move(settings));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
