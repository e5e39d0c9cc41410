// SPDX-License-Identifier: BSL-1.0
// tidepool - runs the body of a transaction between BEGIN and COMMIT, or of a savepoint, whatever the database.
#ifndef TIDEPOOL_DETAIL_DRIVER_TRANSACT_HPP
#define TIDEPOOL_DETAIL_DRIVER_TRANSACT_HPP

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "../../time.hpp"
#include "../../version.hpp"
#include "../shell/timed_work.hpp"
#include "../util/words.hpp"
#include "any_body.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

using tidepool::detail::in_words;

/// Full jitter: transactions that conflicted should not run again at the same time.
template <class Options>
duration retry_pause(const Options& wanted, unsigned attempt) {
  thread_local auto random = seeded_random();
  duration longest = std::clamp<duration>(wanted.retry_delay, duration(1), std::max(wanted.max_retry_delay, duration(1)));
  for (; attempt > 0 && longest < wanted.max_retry_delay; --attempt) {
    longest = longest < wanted.max_retry_delay / 2 ? longest * 2 : wanted.max_retry_delay;
  }
  return duration(random.up_to(longest.count()));
}

/// What became of running a body once; what it returned is kept by the body itself.
struct attempt {
  std::exception_ptr failure{};
  bool retryable = false;
};

template <class Steps>
asio::awaitable<void> run_body(typename Steps::session_ptr s, unsigned depth, duration answer_within,
                               std::shared_ptr<any_body<typename Steps::scope>> body, std::shared_ptr<attempt> out) {
  typename Steps::scope scope(std::move(s), depth, answer_within);
  try {
    co_await body->run(scope);
  } catch (const typename Steps::error& failure) {
    out->failure = std::current_exception();
    out->retryable = failure.retryable();
  } catch (...) {
    out->failure = std::current_exception();
  }
  scope.end();
}

/// The limit of a transaction or savepoint as a whole.
template <class Steps>
class whole_limit {
 public:
  whole_limit(const char* what, duration span) : what_(what), span_(span), due_(later(clock::now(), span)) {}

  bool is_set() const noexcept { return span_ != no_limit; }
  bool is_over() const noexcept { return is_set() && clock::now() >= due_; }
  bool is_over_at(clock::time_point at) const noexcept { return at >= due_; }
  /// For one answer of the server, `each` at most. Above zero, because it bounds what has to be sent in any case.
  duration left(duration each) const noexcept {
    return is_set() ? std::min(each, std::max<duration>(due_ - clock::now(), std::chrono::milliseconds(1))) : each;
  }
  /// For the rollback, which comes after the limit.
  duration for_rollback(const typename Steps::session& s, duration each) const noexcept {
    return is_set() ? std::min(each, std::max(left(each), s.settings().cancel_timeout)) : each;
  }
  typename Steps::error passed(const typename Steps::session& s) const {
    using errc = typename Steps::errc;
    return {s.broken ? errc::server_silent : errc::response_timeout,
            std::string("the ") + what_ + " was not done within " + in_words(span_) + ": cancelled, " +
                (s.broken ? "and the connection was shut, because the server did not answer" : "and rolled back; the connection is kept")};
  }

 private:
  const char* what_;
  duration span_;
  clock::time_point due_;
};

/// Runs the body once, within the limit where there is one. True: its time was over, and what it threw or returned no longer matters. Body
/// and outcome may outlive the caller by a moment, when the context is destroyed.
template <class Steps>
asio::awaitable<bool> run_limited_body(typename Steps::session_ptr s, unsigned depth, duration answer_within,
                                       std::shared_ptr<any_body<typename Steps::scope>> body, const whole_limit<Steps>& limit,
                                       attempt& out) {
  const auto tried = std::make_shared<attempt>();
  auto work = run_body<Steps>(std::move(s), depth, answer_within, std::move(body), tried);
  const auto end = co_await tidepool::detail::run_timed<real_timer>(limit.left(no_limit), std::move(work));
  if (end->failure) std::rethrow_exception(end->failure);
  out = *tried;
  const bool told = out.failure && !tidepool::detail::is_cancellation(out.failure);
  co_return limit.is_over() && !told;
}

/// Runs the body between BEGIN and COMMIT, again after a `retryable()` error. `Steps` is what a driver gives: its types, and what it does
/// at each step; a step that is a coroutine is awaited here, so none costs a frame of its own.
template <class Steps>
asio::awaitable<void> run_transaction(typename Steps::session_ptr s, std::shared_ptr<any_body<typename Steps::scope>> body,
                                      typename Steps::options wanted) {
  using error = typename Steps::error;
  using errc = typename Steps::errc;
  if (wanted.within <= duration::zero()) throw error(errc::bad_parameter, "transaction_options::within must be above zero");
  const whole_limit<Steps> limit("transaction", wanted.within);
  for (unsigned number = 0;; ++number) {
    if (Steps::is_open(*s)) throw error(errc::bad_usage, "a transaction is open already: use nested() of that one");
    if (Steps::is_to_prepare(*s)) co_await Steps::prepare(s, limit.left(wanted.answer_within));
    co_await Steps::begin(s, wanted, limit.left(wanted.answer_within));
    typename Steps::mark mark(*s);
    attempt tried;
    bool late = false;
    Steps::begun(*s, wanted);
    if (limit.is_set()) {
      late = co_await run_limited_body<Steps>(s, 0, wanted.answer_within, body, limit, tried);
    } else {
      typename Steps::scope scope(s, 0, wanted.answer_within);
      try {
        co_await body->run(scope);
      } catch (const error& failure) {
        tried.failure = std::current_exception();
        tried.retryable = failure.retryable();
      } catch (...) {
        tried.failure = std::current_exception();
      }
      scope.end();
    }
    if (!tried.failure && !late) {
      try {
        co_await Steps::commit(s, limit.left(wanted.answer_within));
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
      co_await Steps::roll_back(s, limit.for_rollback(*s, wanted.answer_within));
    }
    mark.ended();
    Steps::ended(*s);
    if (late) throw limit.passed(*s);
    // Committed while the coroutine was cancelled: the result is returned without awaiting anything more.
    const auto end = co_await asio::this_coro::cancellation_state;
    const bool goes_on = end.cancelled() == asio::cancellation_type::none;
    if (goes_on && Steps::is_to_tidy(*s)) co_await Steps::tidy(s, limit.left(wanted.answer_within));
    if (!tried.failure) co_return;
    const auto delay = retry_pause(wanted, number);
    if (!tried.retryable || number >= wanted.retries || limit.is_over_at(clock::now() + delay)) std::rethrow_exception(tried.failure);
    real_timer pause(co_await asio::this_coro::executor);
    pause.expires_after(delay);
    co_await await_timer(pause);
  }
}

/// The same between SAVEPOINT and RELEASE SAVEPOINT; never run again.
template <class Steps>
asio::awaitable<void> run_savepoint(typename Steps::session_ptr s, std::shared_ptr<any_body<typename Steps::scope>> body, unsigned depth,
                                    duration answer_within, duration within) {
  const whole_limit<Steps> limit("savepoint", within);
  const std::string name = "tidepool_" + std::to_string(depth);
  co_await Steps::save(s, name, limit.left(answer_within));
  typename Steps::mark mark(*s);
  attempt tried;
  bool late = false;
  if (limit.is_set()) {
    late = co_await run_limited_body<Steps>(s, depth, answer_within, body, limit, tried);
  } else {
    typename Steps::scope scope(s, depth, answer_within);
    try {
      co_await body->run(scope);
    } catch (...) {
      tried.failure = std::current_exception();
    }
    scope.end();
  }
  if (!tried.failure && !late) {
    try {
      co_await Steps::release(s, name, limit.left(answer_within));
    } catch (const typename Steps::error& failure) {
      tried.failure = std::current_exception();
      late = failure.reason() == Steps::errc::response_timeout && limit.is_over();
    }
  }
  if (tried.failure || late) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (tried.failure && state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(tried.failure);
    co_await Steps::undo(s, name, limit.for_rollback(*s, answer_within));
  }
  mark.ended();
  if (late) throw limit.passed(*s);
  if (tried.failure) std::rethrow_exception(tried.failure);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
