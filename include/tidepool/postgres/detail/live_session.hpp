// SPDX-License-Identifier: BSL-1.0
// tidepool - the verbs of a session, for callers that know no more of it than its virtual functions.
// Before the guard: connection.hpp includes this file where its own declarations are complete.
#include "../../detail/util/owning_ptr.hpp"
#include "../connection.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_LIVE_SESSION_HPP
#define TIDEPOOL_POSTGRES_DETAIL_LIVE_SESSION_HPP

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "connect_address.hpp"
#include "copy_run.hpp"
#include "execute.hpp"
#include "graceful_close.hpp"
#include "limited.hpp"
#include "perform.hpp"
#include "prepare.hpp"
#include "run_pipeline.hpp"
#include "stream_run.hpp"
#include "transact.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class = void>
inline asio::awaitable<void> run_connect_hook(session_ptr s) {
  connection same(s);
  co_await s->settings().on_connect(same);
}

template <class = void>
inline asio::awaitable<void> run_script(session_ptr s, request what) {
  co_await perform(std::move(s), std::move(what));
}

template <class = void>
inline asio::awaitable<void> ping_session(session_ptr s, std::string query) {
  const auto wanted = s->settings().target();
  const bool any = wanted == session_attrs::any || wanted == session_attrs::prefer_standby;
  if (any || !query.empty()) co_await perform(s, request::simple(query, "ping()"), operation::allow::always);
  if (!any) co_await ask_role(s);
}

template <class = void>
inline asio::awaitable<void> reset_session(session_ptr s, reset_level level) {
  const bool wiped = co_await wipe_session(s, level);
  const bool silent = s->limits.take_long_silence();
  if (s->role_unconfirmed || silent) co_await ask_role(s);
  if (s->wrong_role) co_return;
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
class basic_live_session final : public session {
 public:
  using session::session;

  asio::awaitable<result> execute(const base_ptr& self, request&& what) override {
    if (this->prepared.capacity() == 0 || !has_plan(what.sql())) return postgres::detail::perform(of(self), std::move(what));
    return execute_cached(of(self), std::move(what));
  }
  asio::awaitable<result> perform(const base_ptr& self, request&& what) override {
    return postgres::detail::perform(of(self), std::move(what));
  }
  asio::awaitable<void> script(const base_ptr& self, request&& what) override { return run_script(of(self), std::move(what)); }
  asio::awaitable<statement> prepare(const base_ptr& self, query_text sql, duration limit) override {
    return postgres::detail::prepare(of(self), std::string(sql.view()), sql.from(), limit);
  }
  asio::awaitable<void> run_pipeline(const base_ptr& self, pipeline_mode mode, pipeline_entries&& all, duration limit) override {
    return postgres::detail::run_pipeline(of(self), mode, std::move(all), limit);
  }
  asio::awaitable<copy_writer> copy_in(const base_ptr& self, request&& what) override {
    return open_copy<copy_writer, copy_in_run>(of(self), std::move(what), PGRES_COPY_IN);
  }
  asio::awaitable<copy_reader> copy_out(const base_ptr& self, request&& what) override {
    return open_copy<copy_reader, copy_out_run>(of(self), std::move(what), PGRES_COPY_OUT);
  }
  asio::awaitable<void> transact(const base_ptr& self, std::shared_ptr<any_body> body, const transaction_options& wanted) override {
    return run_transaction(of(self), std::move(body), wanted);
  }
  asio::awaitable<void> save(const base_ptr& self, std::shared_ptr<any_body> body, unsigned depth, duration answer_within,
                             duration within) override {
    return run_savepoint(of(self), std::move(body), depth, answer_within, within);
  }

  bool is_held_up() const noexcept override { return postgres::detail::is_held_up(*this); }
  asio::awaitable<void> make_way(const base_ptr& self, std::string_view verb, duration limit) override {
    return postgres::detail::make_way(of(self), verb, limit);
  }
  tidepool::detail::owning_ptr<row_source> begin_stream(const base_ptr& self, request&& what) override {
    return tidepool::detail::owning_ptr<row_source>(new stream_run(of(self), std::move(what)));
  }

  asio::awaitable<void> ping(const base_ptr& self, std::string query, duration limit) override {
    auto work = ping_session(of(self), std::move(query));
    return limit == no_limit ? std::move(work) : limited(of(self), "ping()", limit, std::move(work));
  }
  asio::awaitable<void> reset(const base_ptr& self, std::optional<reset_level> level, duration limit) override {
    const auto wanted = level.value_or(this->settings().reset);
    if (limit == no_limit) return reset_session(of(self), wanted);
    return limited(of(self), "reset()", limit, reset_marked(of(self), wanted));
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
