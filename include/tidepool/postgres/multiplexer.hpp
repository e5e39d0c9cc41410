// SPDX-License-Identifier: BSL-1.0
// tidepool - many callers share a few connections: their statements travel behind each other, and the answers are dealt out.
#ifndef TIDEPOOL_POSTGRES_MULTIPLEXER_HPP
#define TIDEPOOL_POSTGRES_MULTIPLEXER_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "../version.hpp"
#include "detail/mux/call.hpp"
#include "detail/mux/lane_link.hpp"
#include "multiplexer_stats.hpp"
#include "pool.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What bounds a multiplexer. Give the pool room for `max_lanes` connections beside those of its other users.
struct multiplexer_options {
  std::size_t max_lanes = 8;                             ///< connections, of both kinds together
  std::size_t max_depth = 64;                            ///< statements in flight on one; 1: no pipelining, for proxies that cannot
  std::size_t max_bytes = std::size_t{1} << 20U;         ///< sent and not answered on one connection; a larger statement goes alone
  std::size_t max_waiting = 10'000;                      ///< statements that wait for a connection; more are refused, `errc::queue_full`
  std::size_t max_statements = 256;                      ///< texts that are kept prepared; others are sent with their text
  duration timeout = std::chrono::seconds(30);           ///< of a statement, from its call to its answer; `no_limit`: none
  duration stall_after = std::chrono::milliseconds(50);  ///< a connection whose statement takes longer gets no more until it answers
  duration lane_idle = std::chrono::seconds(10);         ///< an unused connection is given back after that
  duration lane_lifetime = std::chrono::minutes(1);      ///< any is given back after that, drained: the pool then looks at it
  duration give_up_after = std::chrono::seconds(5);      ///< a silent connection is shut after that, where nobody waits for its statement

  /// Called in a turn of the multiplexer when a connection's statement has been running for `stall_after`, once for each. `statement` is
  /// empty where nobody waits for it any more. It must not throw.
  struct stall {
    bool read = false;
    std::size_t in_flight = 0;  ///< statements on that connection, this one included
    duration running{};
    std::string_view statement;
  };
  std::function<void(const stall&)> on_stall = {};

  /// What is wrong with it, in words; empty: nothing.
  std::string faults() const {
    std::string out;
    const auto positive = [&out](auto value, const char* name) {
      if (value > decltype(value){}) return;
      out += (out.empty() ? "" : "; ") + std::string(name) + " has to be above zero";
    };
    positive(max_lanes, "max_lanes");
    positive(max_depth, "max_depth");
    positive(max_bytes, "max_bytes");
    positive(max_waiting, "max_waiting");
    positive(timeout, "timeout");
    positive(stall_after, "stall_after");
    positive(lane_idle, "lane_idle");
    positive(lane_lifetime, "lane_lifetime");
    positive(give_up_after, "give_up_after");
    if (max_depth > 4096 || max_lanes > 1024) out += (out.empty() ? "" : "; ") + std::string("max_depth is at most 4096, max_lanes 1024");
    return out;
  }
};

/// Why a multiplexer did not execute a statement: `code()` is `tidepool::errc::queue_full`, `timeout` or `closed`. It was not executed,
/// except that a read may have been where it says `timeout`.
class multiplexer_error : public system_error {
 public:
  multiplexer_error(tidepool::errc why, const std::string& text) : system_error(make_error_code(why), text) {}
};

/// Runs single statements of many callers over a few connections of a pool:
///
///     postgres::multiplexer mux(pool);
///     auto name = co_await mux.read_one<std::string>("select name from users where id = $1", id);
///     co_await mux.exec("insert into visits (id) values ($1)", id);
/// Several times as many statements a second as with a lease each, because they do not wait for each other's round trips.
///
/// `exec()` and its like: each statement is a transaction of its own. `read()` and its like: on sessions that are read-only by the server's
/// setting (a write fails there), where several statements share a round trip of the server, and a transaction: `now()` may be the same for
/// several. A read may be executed more than once, so a function that has an effect outside the database has no place there.
///
/// What belongs to a session is refused with `errc::bad_usage` before it is sent: transactions, SET, LISTEN, cursors, temporary tables,
/// COPY and so on. What a function does is not seen: advisory locks of the session and `set_config(..., false)` must not be used here.
///
/// Errors: those of a connection; `multiplexer_error`; pool_error where the pool has no connection; and `errc::outcome_unknown` for a write
/// that was sent and whose answer is missing: its connection was lost, or its time was up. It may have been executed. A read whose
/// connection is lost is sent again elsewhere. Cancellation (all types): at once, `operation_aborted`. A write that was sent is executed
/// all the same.
///
/// One executor that runs one handler at a time: all calls must come from it, and it takes no lock. Threads: see `multiplexers`. The pool
/// has to outlive it. Destroying it at any time is safe: those who wait get `errc::closed`, or `outcome_unknown` as above.
template <class Pool>
class basic_multiplexer {
  using link = detail::mux::lane_link<Pool>;
  using engine = detail::mux::engine<typename Pool::traits_type, link>;
  using call = typename engine::call;
  using kind = detail::mux::lane_kind;

 public:
  using executor_type = typename Pool::executor_type;
  template <class T>
  using awaitable = asio::awaitable<T, executor_type>;

  /// Opens nothing yet. Throws std::invalid_argument that names every fault of the options.
  explicit basic_multiplexer(Pool& of, const multiplexer_options& settings = {}) : basic_multiplexer(of.get_executor(), of, settings) {}
  basic_multiplexer(executor_type executor, Pool& of, const multiplexer_options& settings = {}) : settings_(checked(settings)) {
    texts_ = std::make_shared<detail::mux::known_texts>(settings_.max_statements);
    detail::mux::rules limits;
    limits.max_lanes = settings_.max_lanes;
    limits.max_depth = limits.max_group = settings_.max_depth;
    limits.max_bytes = settings_.max_bytes;
    limits.max_waiting = settings_.max_waiting;
    limits.stall_after = settings_.stall_after;
    limits.lane_idle = settings_.lane_idle;
    limits.give_up_after = settings_.give_up_after;
    auto open = [from = &of, texts = texts_, executor](kind which) {
      return link::open(*from, texts, asio::any_io_executor(executor), which);
    };
    // Given back before the pool would report a leak.
    auto lifetime = settings_.lane_lifetime;
    const auto& of_pool = of.config();
    if (of_pool.leak_detection && of_pool.leak_timeout != no_limit) lifetime = std::min(lifetime, of_pool.leak_timeout / 4 * 3);
    engine_ = std::make_shared<engine>(executor, std::move(open), limits, lifetime);
    traces_ = std::make_shared<traces>();
    traces_->of = &engine_->state();
    engine_->state().on_slow = [](void* to, const detail::mux::job& j, detail::mux::tick now) noexcept {
      static_cast<traces*>(to)->add(static_cast<const call&>(j), now);
    };
    engine_->state().on_slow_context = traces_.get();
    if (settings_.on_stall) {
      engine_->on_stall = [tell = settings_.on_stall](const detail::mux::lane& l, const call* head, duration running) {
        tell({l.kind == kind::read, l.depth(), running, head == nullptr ? std::string_view() : head->what.sql()});
      };
    }
    engine_->attach();
  }
  basic_multiplexer(const basic_multiplexer&) = delete;
  basic_multiplexer& operator=(const basic_multiplexer&) = delete;
  ~basic_multiplexer() {
    engine_->shut_down();
    engine_->state().on_slow = nullptr;
  }

  // --- statements that may write: each is a transaction of its own
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> exec(query_text sql, const Args&... args) {
    return run(engine_, texts_, kind::write, settings_.timeout, statement(sql, args...));
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> exec(within limit, query_text sql, const Args&... args) {
    return run(engine_, texts_, kind::write, limit.limit(), statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> one(query_text sql, const Args&... args) {
    return run_one<T>(engine_, texts_, kind::write, settings_.timeout, statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> one(within limit, query_text sql, const Args&... args) {
    return run_one<T>(engine_, texts_, kind::write, limit.limit(), statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> opt(query_text sql, const Args&... args) {
    return run_opt<T>(engine_, texts_, kind::write, settings_.timeout, statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> opt(within limit, query_text sql, const Args&... args) {
    return run_opt<T>(engine_, texts_, kind::write, limit.limit(), statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> all(query_text sql, const Args&... args) {
    return run_all<T>(engine_, texts_, kind::write, settings_.timeout, statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> all(within limit, query_text sql, const Args&... args) {
    return run_all<T>(engine_, texts_, kind::write, limit.limit(), statement(sql, args...));
  }

  // --- statements that only read
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> read(query_text sql, const Args&... args) {
    return run(engine_, texts_, kind::read, settings_.timeout, statement(sql, args...));
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> read(within limit, query_text sql, const Args&... args) {
    return run(engine_, texts_, kind::read, limit.limit(), statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> read_one(query_text sql, const Args&... args) {
    return run_one<T>(engine_, texts_, kind::read, settings_.timeout, statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> read_one(within limit, query_text sql, const Args&... args) {
    return run_one<T>(engine_, texts_, kind::read, limit.limit(), statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> read_opt(query_text sql, const Args&... args) {
    return run_opt<T>(engine_, texts_, kind::read, settings_.timeout, statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> read_opt(within limit, query_text sql, const Args&... args) {
    return run_opt<T>(engine_, texts_, kind::read, limit.limit(), statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> read_all(query_text sql, const Args&... args) {
    return run_all<T>(engine_, texts_, kind::read, settings_.timeout, statement(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> read_all(within limit, query_text sql, const Args&... args) {
    return run_all<T>(engine_, texts_, kind::read, limit.limit(), statement(sql, args...));
  }

  // --- with any completion token, of signature void(std::exception_ptr, result); completes on the token's associated executor
  template <class Token, class... Args>
  auto async_exec(Token&& token, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::write, settings_.timeout, statement(sql, args...));
  }
  template <class Token, class... Args>
  auto async_exec(Token&& token, within limit, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::write, limit.limit(), statement(sql, args...));
  }
  template <class Token, class... Args>
  auto async_read(Token&& token, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::read, settings_.timeout, statement(sql, args...));
  }
  template <class Token, class... Args>
  auto async_read(Token&& token, within limit, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::read, limit.limit(), statement(sql, args...));
  }

  /// Of this moment. To be called where statements are.
  multiplexer_stats stats() const {
    using detail::mux::lane_state;
    const auto& state = std::as_const(*engine_).state();
    const auto& c = state.counts();
    const auto now = tidepool::detail::precise_now<typename Pool::traits_type>();
    multiplexer_stats out;
    for (std::size_t i = 0; i < state.lane_count(); ++i) {
      const auto& l = state.lane_at(i);
      out.read_lanes += l.state == lane_state::ready && l.kind == kind::read;
      out.write_lanes += l.state == lane_state::ready && l.kind == kind::write;
      out.opening_lanes += l.state == lane_state::opening;
      out.draining_lanes += l.state == lane_state::draining;
      out.stalled_lanes += state.stalled(l, now);
      out.deepest = std::max(out.deepest, l.depth());
    }
    out.in_flight = state.in_flight();
    out.waiting = state.waiting();
    out.submitted = c.submitted;
    out.answered = c.answered;
    out.failed = c.failed;
    out.refused = c.refused;
    out.timed_out = c.late;
    out.cancelled = c.cancelled;
    out.closed = c.closed;
    out.unconnected = c.no_lane;
    out.outcome_unknown = c.unknown;
    out.lost = c.lost;
    out.sent = c.sent;
    out.requeued = c.skipped + c.stale + c.resent;
    out.flushes = c.flushes;
    out.syncs = c.syncs;
    out.lanes_opened = c.lanes_opened;
    out.lanes_lost = c.lanes_lost;
    out.lanes_failed = c.lanes_failed;
    out.lanes_turned = c.lanes_turned;
    out.lanes_released = c.lanes_released;
    out.stalls = c.stalls;
    out.wait = state.times().wait;
    out.service = state.times().service;
    out.slowest = traces_->all;
    return out;
  }

  /// Refuses further statements, fails those that wait with `errc::closed`, waits up to `grace` for those that were sent, and gives the
  /// connections back. Cancellation ends the wait only.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(time_limit grace = std::chrono::seconds(10)) {
    return engine::close(engine_, grace);
  }
  /// Gives every connection back, drained, and takes others as they are needed.
  void recycle() { engine_->recycle(); }
  const multiplexer_options& options() const noexcept { return settings_; }
  const executor_type& get_executor() const noexcept { return engine_->executor(); }

 private:
  using engine_ptr = std::shared_ptr<engine>;
  using texts_ptr = std::shared_ptr<detail::mux::known_texts>;

  static const multiplexer_options& checked(const multiplexer_options& settings) {
    const auto faults = settings.faults();
    if (!faults.empty()) throw std::invalid_argument("multiplexer_options: " + faults);
    return settings;
  }
  template <class... Args>
  static detail::request statement(query_text sql, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    return detail::request::parameters(sql, args...);
  }

  /// The slowest statements so far.
  struct traces {
    static constexpr std::size_t most = 8;
    void add(const call& c, detail::mux::tick now) noexcept {
      try {
        statement_trace one{detail::printable(c.what.sql(), 200), c.kind == kind::read, c.sent - c.submitted, now - c.sent};
        const auto slower = [&](const statement_trace& other) { return other.queued + other.served >= one.queued + one.served; };
        all.insert(std::find_if_not(all.begin(), all.end(), slower), std::move(one));
        if (all.size() > most) all.pop_back();
        if (all.size() == most) of->report_slow(all.back().queued + all.back().served);
      } catch (...) {  // without this trace
      }
    }
    detail::mux::dispatcher* of = nullptr;
    std::vector<statement_trace> all;
  };

  /// What a handler is called with.
  struct outcome {
    static std::pair<std::exception_ptr, result> of(call& told) {
      try {
        return {nullptr, take(told)};
      } catch (...) {
        return {std::current_exception(), result()};
      }
    }
  };
  template <class Token>
  auto initiate(Token&& token, kind of, duration limit, detail::request what) {
    return asio::async_initiate<Token, void(std::exception_ptr, result)>(
        [](auto handler, engine_ptr to, texts_ptr texts, kind which, duration within, detail::request&& asked) {
          using made = detail::mux::token_call<engine, outcome, decltype(handler)>;
          const auto prepare = [which](call& c) {
            set(c, which);
            const auto why = refusal(c);
            if (!why.empty()) c.failure = std::make_exception_ptr(refused(why));
            return why.empty();
          };
          made::start(std::move(to), within, std::move(handler), prepare, std::move(asked), std::move(texts));
        },
        token, engine_, texts_, of, limit, std::move(what));
  }
  static void set(call& c, kind of) noexcept {
    c.kind = of;
    c.bytes = static_cast<std::uint32_t>(std::min<std::size_t>(c.what.size() + 64, UINT32_MAX));
  }
  static std::string_view refusal(const call& c) noexcept {
    return c.text != nullptr ? c.text->refused : detail::mux::why_refused(c.what.sql());
  }
  static error refused(std::string_view why) { return {errc::bad_usage, "the statement " + std::string(why) + ": nothing was sent"}; }

  struct waiting : detail::mux::coroutine_call<engine> {
    waiting(engine_ptr to, texts_ptr among, kind of, detail::request&& asked)
        : detail::mux::coroutine_call<engine>(std::move(to), std::move(asked), std::move(among)) {
      set(*this, of);
      const auto why = refusal(*this);
      if (!why.empty()) throw refused(why);
    }
  };
  /// These coroutines own what they need, because the multiplexer may be destroyed meanwhile.
  static awaitable<result> run(engine_ptr to, texts_ptr texts, kind of, duration limit, detail::request what) {
    waiting w(std::move(to), std::move(texts), of, std::move(what));
    co_await w.template async_wait<executor_type>(limit);
    co_return take(w);
  }
  template <class T>
  static awaitable<T> run_one(engine_ptr to, texts_ptr texts, kind of, duration limit, detail::request what) {
    (void)detail::require_row<T>();
    waiting w(std::move(to), std::move(texts), of, std::move(what));
    co_await w.template async_wait<executor_type>(limit);
    co_return take(w).template one<T>();
  }
  template <class T>
  static awaitable<std::optional<T>> run_opt(engine_ptr to, texts_ptr texts, kind of, duration limit, detail::request what) {
    (void)detail::require_row<T>();
    waiting w(std::move(to), std::move(texts), of, std::move(what));
    co_await w.template async_wait<executor_type>(limit);
    co_return take(w).template opt<T>();
  }
  template <class T>
  static awaitable<std::vector<T>> run_all(engine_ptr to, texts_ptr texts, kind of, duration limit, detail::request what) {
    (void)detail::require_row<T>();
    waiting w(std::move(to), std::move(texts), of, std::move(what));
    co_await w.template async_wait<executor_type>(limit);
    co_return take(w).template all<T>();
  }
  /// The result, or the exception.
  static result take(call& told) {
    if (told.how == detail::mux::verdict::answered && !told.failure) [[likely]]
      return std::move(told.got);
    fail(told);
  }
  [[noreturn, gnu::cold, gnu::noinline]] static void fail(const call& told) {
    using detail::mux::verdict;
    const bool reads = told.kind == kind::read;
    switch (told.how) {
      case verdict::answered: std::rethrow_exception(told.failure);
      case verdict::late:
        throw multiplexer_error(tidepool::errc::timeout,
                                reads ? "multiplexer: the read was not answered in time"
                                      : "multiplexer: no connection took the statement in time; it was not executed");
      case verdict::cancelled:
        throw system_error(
            asio::error::make_error_code(asio::error::operation_aborted),
            told.sent == detail::mux::tick{} ? "cancelled before it was sent" : "cancelled; it was sent, and may have been executed");
      case verdict::full:
        throw multiplexer_error(tidepool::errc::queue_full, "multiplexer: max_waiting statements wait already; it was not executed");
      case verdict::closed: throw multiplexer_error(tidepool::errc::closed, "multiplexer: it is closed; the statement was not executed");
      case verdict::no_lane:
        if (told.trouble) std::rethrow_exception(told.trouble);
        throw multiplexer_error(tidepool::errc::closed, "multiplexer: no connection could be had; the statement was not executed");
      case verdict::lost: throw error(errc::connection_lost, "every connection the read was sent on was lost before its answer");
      case verdict::unknown: break;
    }
    throw error(errc::outcome_unknown,
                "the statement was sent, and its answer is missing, because the connection was lost or its time was up: it may have been "
                "executed or not");
  }

  multiplexer_options settings_;
  texts_ptr texts_;
  engine_ptr engine_;
  std::shared_ptr<traces> traces_;
};

/// `postgres::multiplexer mux(pool);`
using multiplexer = basic_multiplexer<pool>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
