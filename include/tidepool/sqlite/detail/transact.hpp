// SPDX-License-Identifier: BSL-1.0
// tidepool - runs the body of a transaction between BEGIN and COMMIT, or of a savepoint.
#ifndef TIDEPOOL_SQLITE_DETAIL_TRANSACT_HPP
#define TIDEPOOL_SQLITE_DETAIL_TRANSACT_HPP

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "../../detail/driver/asio_io.hpp"
#include "../../detail/shell/timed_work.hpp"
#include "../../detail/util/random.hpp"
#include "../../detail/util/system_seed.hpp"
#include "../../version.hpp"
#include "../transaction.hpp"
#include "any_body.hpp"
#include "operation.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

using real_timer = asio::steady_timer;  // NOLINT(clock): of the driver

template <class = void>
inline const char* begin_statement(locking lock, bool reads_only) noexcept {
  switch (lock) {
    case locking::automatic: return reads_only ? "begin" : "begin immediate";
    case locking::deferred: return "begin";
    case locking::immediate: return "begin immediate";
    case locking::exclusive: return "begin exclusive";
  }
  return "begin";
}

/// Full jitter: transactions that conflicted should not run again at the same time.
template <class = void>
inline duration retry_pause(const transaction_options& wanted, unsigned attempt) {
  thread_local tidepool::detail::splitmix random(tidepool::detail::seed_of_system());
  duration longest = std::clamp<duration>(wanted.retry_delay, duration(1), std::max(wanted.max_retry_delay, duration(1)));
  for (; attempt > 0 && longest < wanted.max_retry_delay; --attempt) {
    longest = longest < wanted.max_retry_delay / 2 ? longest * 2 : wanted.max_retry_delay;
  }
  return duration(random.up_to(longest.count()));
}

/// While a body runs. When the coroutine is left in another way than the two regular ones, this marks the session: it is in a transaction
/// that has no owner any more, and needs a reset.
template <class = void>
class basic_scope_mark {
 public:
  explicit basic_scope_mark(session& on) noexcept : on_(on) { ++on_.scopes; }
  basic_scope_mark(const basic_scope_mark&) = delete;
  basic_scope_mark& operator=(const basic_scope_mark&) = delete;
  ~basic_scope_mark() {
    if (!body_ended_) --on_.scopes;
    if (!ended_) on_.needs_reset = true;
  }
  /// From here on the driver's own statements follow.
  void body_ended() noexcept {
    if (!std::exchange(body_ended_, true)) --on_.scopes;
  }
  void ended() noexcept { ended_ = true; }

 private:
  session& on_;
  bool body_ended_ = false;
  bool ended_ = false;
};
using scope_mark = basic_scope_mark<>;

/// What became of running a body once; what it returned is kept by the body itself.
struct attempt {
  std::exception_ptr failure{};
  bool retryable = false;
};

template <class = void>
inline asio::awaitable<void> run_body(session_ptr s, unsigned depth, std::shared_ptr<any_body> body, std::shared_ptr<attempt> out) {
  transaction scope(std::move(s), depth);
  try {
    co_await body->run(scope);
  } catch (const error& failure) {
    out->failure = std::current_exception();
    out->retryable = failure.retryable();
  } catch (...) {
    out->failure = std::current_exception();
  }
  scope.end();
}

/// The limit of a transaction or savepoint as a whole.
template <class = void>
class basic_whole_limit {
 public:
  basic_whole_limit(const char* what, duration span) : what_(what), span_(span), due_(later(real_now(), span)) {}

  bool is_set() const noexcept { return span_ != no_limit; }
  bool is_over() const noexcept { return is_set() && real_now() >= due_; }
  bool is_over_at(steady::time_point at) const noexcept { return at >= due_; }
  duration left() const noexcept { return is_set() ? std::max<duration>(due_ - real_now(), std::chrono::milliseconds(1)) : no_limit; }
  error passed() const {
    return {errc::response_timeout, std::string("the ") + what_ + " was not done within " + tidepool::detail::seconds_text(span_) +
                                        ": cancelled and rolled back; the connection is kept"};
  }

 private:
  const char* what_;
  duration span_;
  steady::time_point due_;
};
using whole_limit = basic_whole_limit<>;

/// Runs the body once, within the limit where there is one. True: its time was over, and what it threw or returned no longer matters.
template <class = void>
inline asio::awaitable<bool> run_body_once(session_ptr s, unsigned depth, std::shared_ptr<any_body> body, const whole_limit& limit,
                                           attempt& out) {
  const auto tried = std::make_shared<attempt>();
  auto work = run_body(std::move(s), depth, std::move(body), tried);
  if (!limit.is_set()) {
    co_await std::move(work);
    out = *tried;
    co_return false;
  }
  const auto end = co_await tidepool::detail::run_timed<real_timer>(limit.left(), std::move(work));
  if (end->failure) std::rethrow_exception(end->failure);
  out = *tried;
  bool told = out.failure && !tidepool::detail::is_cancellation(out.failure);
  try {
    if (told) std::rethrow_exception(out.failure);
  } catch (const error& failure) {
    told = failure.reason() != errc::response_timeout && failure.reason() != errc::rolled_back;
  } catch (...) {
  }
  co_return limit.is_over() && !told;
}

/// One statement of the driver's own.
template <class = void>
inline asio::awaitable<void> perform(session_ptr s, std::string sql, duration limit, bool clean) {
  const auto body = [&] { s->exec(sql.c_str()); };
  co_await on_thread(s, body, limit, clean, tidepool::detail::driver::tag_of(sql));
}

template <class = void>
inline asio::awaitable<void> commit(session_ptr s, duration limit) {
  const auto body = [&] {
    if (!s->in_transaction()) throw session::gone();
    const int code = sqlite3_exec(s->db(), "commit", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return;
    const int exact = sqlite3_extended_errcode(s->db());
    if ((exact & 0xFF) == SQLITE_IOERR) {
      diagnosis said;
      said.code = exact;
      said.message = sqlite3_errmsg(s->db());
      s->note_broken(said.message + " (" + code_text(exact) + ") in COMMIT");
      throw error(errc::outcome_unknown, "COMMIT failed while it wrote: it may be committed or not, so ask the database", std::move(said));
    }
    s->fail(exact, nullptr);
  };
  co_await on_thread(s, body, limit, false, "COMMIT");
}
/// An error of it marks the connection as broken and is not thrown: the caller throws the error that made it roll back.
template <class = void>
inline asio::awaitable<void> roll_back(session_ptr s, std::string sql) {
  if (s->broken || s->stop.is_aborted() || s->busy) co_return;
  const auto body = [&] {
    s->end_statements();
    if (s->in_transaction()) s->exec(sql.c_str());
  };
  try {
    co_await on_thread(s, body, no_limit, false, "ROLLBACK");
    s->needs_reset = false;  // what was cancelled within is gone with it
  } catch (const error& failure) {
    s->note_broken("rolling back failed: " + std::string(failure.explanation()));
  }
}

template <class = void>
inline asio::awaitable<void> run_transaction(session_ptr s, std::shared_ptr<any_body> body, transaction_options wanted) {
  if (wanted.within <= duration::zero()) throw error(errc::bad_parameter, "transaction_options::within must be above zero");
  const whole_limit limit("transaction", wanted.within);
  for (unsigned number = 0;; ++number) {
    attempt tried;
    bool late = false;
    bool begun = false;
    const auto begin = [&] {
      if (s->in_transaction()) throw error(errc::bad_usage, "a transaction is open already: use nested() of that one");
      // What is written to a file that nobody finds again would be lost.
      if (!s->reads_only) s->check_place();
      s->exec(begin_statement(wanted.lock, s->reads_only));
    };
    try {
      co_await on_thread(s, begin, limit.left(), true, "BEGIN");
      begun = true;
    } catch (const error& failure) {
      tried.failure = std::current_exception();
      tried.retryable = failure.retryable();
      late = failure.reason() == errc::response_timeout && limit.is_over();
    }
    if (begun) {
      scope_mark mark(*s);
      late = co_await run_body_once(s, 0, body, limit, tried);
      mark.body_ended();
      if (!tried.failure && !late) {
        try {
          co_await commit(s, limit.left());
        } catch (const error& failure) {
          tried.failure = std::current_exception();
          tried.retryable = failure.retryable();
          late = failure.reason() == errc::response_timeout && limit.is_over();
        }
      }
      if (tried.failure || late) {
        // A cancelled coroutine cannot await any more: reset() rolls back, which a pool calls.
        const auto state = co_await asio::this_coro::cancellation_state;
        if (tried.failure && state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(tried.failure);
        co_await roll_back(s, "rollback");
      }
      mark.ended();
    }
    if (late) throw limit.passed();
    if (!tried.failure) co_return;
    const auto delay = retry_pause(wanted, number);
    if (!tried.retryable || number >= wanted.retries || limit.is_over_at(real_now() + delay)) std::rethrow_exception(tried.failure);
    real_timer pause(co_await asio::this_coro::executor);
    pause.expires_after(delay);
    co_await tidepool::detail::await_timer(pause);
  }
}

template <class = void>
inline asio::awaitable<void> run_savepoint(session_ptr s, std::shared_ptr<any_body> body, unsigned depth, duration within) {
  const whole_limit limit("savepoint", within);
  const std::string name = "tidepool_" + std::to_string(depth);
  co_await perform(s, "savepoint " + name, limit.left(), true);
  scope_mark mark(*s);
  attempt tried;
  bool late = co_await run_body_once(s, depth, std::move(body), limit, tried);
  mark.body_ended();
  if (!tried.failure && !late) {
    try {
      co_await perform(s, "release " + name, limit.left(), true);
    } catch (const error& failure) {
      tried.failure = std::current_exception();
      late = failure.reason() == errc::response_timeout && limit.is_over();
    }
  }
  if (tried.failure || late) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (tried.failure && state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(tried.failure);
    co_await roll_back(s, "rollback to " + name + "; release " + name);
  }
  mark.ended();
  if (late) throw limit.passed();
  if (tried.failure) std::rethrow_exception(tried.failure);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
