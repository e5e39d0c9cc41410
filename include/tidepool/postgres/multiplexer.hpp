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
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../detail/driver/statement_trace.hpp"
#include "../error.hpp"
#include "../version.hpp"
#include "detail/mux/call.hpp"
#include "detail/mux/call_trace.hpp"
#include "detail/mux/engine.hpp"
#include "detail/mux/front.hpp"
#include "detail/mux/lane_link.hpp"
#include "detail/mux/outcome.hpp"
#include "detail/mux/shared_statement.hpp"
#include "detail/mux/slow_traces.hpp"
#include "multiplexer_options.hpp"
#include "multiplexer_stats.hpp"
#include "pool.hpp"
#include "statement_terms.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

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
/// COPY and so on. What a function does is not seen: advisory locks of the session and `set_config(..., false)` must not be used here. A
/// session for reads that was made writable so is given up when the server reports it (14 and newer); until then others' statements may
/// write.
///
/// Errors: those of a connection; `multiplexer_error`; pool_error where the pool has no connection; and `errc::outcome_unknown` for a write
/// that was sent and whose answer is missing: its connection was lost, or its time was up. It may have been executed. A read whose
/// connection is lost is sent again elsewhere. Cancellation (all types): at once, `operation_aborted`. A write that was sent is executed
/// all the same.
///
/// One executor that runs one handler at a time: all calls, and cancellations, must come from it, and it takes no lock. Threads: see
/// `multiplexers`. Destroying it at any time is safe: those who wait get `errc::closed`, or `outcome_unknown` as above. Where its pool is
/// destroyed first, what was sent is answered, and further statements get pool_error.
template <class Pool>
class basic_multiplexer {
  using link = detail::mux::lane_link<Pool>;
  using source = detail::mux::lane_source<Pool>;
  using engine = detail::mux::engine<typename Pool::traits_type, link>;
  using front = detail::mux::front<typename Pool::executor_type, detail::mux::shared_statement>;
  using call = typename front::call;
  using kind = detail::mux::lane_kind;
  using trace_ptr = detail::mux::call_trace_ptr;

 public:
  using executor_type = typename Pool::executor_type;
  /// What its functions return.
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
    // Given back before the pool would report a leak.
    auto lifetime = settings_.lane_lifetime;
    if (const auto reported = source::reported(of); reported != no_limit) lifetime = std::min(lifetime, reported / 4 * 3);
    // By this the engine, and so every statement, keeps the texts.
    auto open = [from = source(of, settings_), texts = texts_, executor](kind which) {
      return link::open(from, texts, asio::any_io_executor(executor), which);
    };
    auto made = std::make_shared<engine>(executor, std::move(open), limits, lifetime, settings_.look_time);
    traces_ = std::make_unique<detail::mux::slow_traces>();
    traces_->watch<call>(made->state());
    if (settings_.on_stall) {
      made->on_stall = [tell = settings_.on_stall](const detail::mux::lane& l, const call* head, duration running) {
        tell({l.kind == kind::read, l.depth(), running, head == nullptr ? std::string_view() : head->what.sql()});
      };
    }
    made->attach();
    engine_ = std::move(made);
  }
  basic_multiplexer(const basic_multiplexer&) = delete;
  basic_multiplexer& operator=(const basic_multiplexer&) = delete;
  ~basic_multiplexer() {
    engine_->shut_down();
    traces_->end();
  }

  // --- statements that may write: each is a transaction of its own
  /// Runs a statement that may write. `within(limit)` as the first argument replaces `timeout` of the options, a `trace_context` says in
  /// whose trace it is (`statement_terms`).
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> exec(query_text sql, const Args&... args) {
    return run(engine_, *texts_, kind::write, settings_.timeout, statement(sql, args...), span());
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> exec(const statement_terms& terms, query_text sql, const Args&... args) {
    return run(engine_, *texts_, kind::write, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// The same; returns its one row, as `connection::one()` does.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> one(query_text sql, const Args&... args) {
    return run_one<T>(engine_, *texts_, kind::write, settings_.timeout, statement(sql, args...), span());
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> one(const statement_terms& terms, query_text sql, const Args&... args) {
    return run_one<T>(engine_, *texts_, kind::write, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// The same; its one row, or nothing.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> opt(query_text sql, const Args&... args) {
    return run_opt<T>(engine_, *texts_, kind::write, settings_.timeout, statement(sql, args...), span());
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> opt(const statement_terms& terms, query_text sql, const Args&... args) {
    return run_opt<T>(engine_, *texts_, kind::write, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// The same; all rows.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> all(query_text sql, const Args&... args) {
    return run_all<T>(engine_, *texts_, kind::write, settings_.timeout, statement(sql, args...), span());
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> all(const statement_terms& terms, query_text sql, const Args&... args) {
    return run_all<T>(engine_, *texts_, kind::write, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }

  // --- statements that only read
  /// Runs a statement that only reads; it may run more than once. The first argument as above.
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> read(query_text sql, const Args&... args) {
    return run(engine_, *texts_, kind::read, settings_.timeout, statement(sql, args...), span());
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> read(const statement_terms& terms, query_text sql, const Args&... args) {
    return run(engine_, *texts_, kind::read, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// The same; returns its one row.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> read_one(query_text sql, const Args&... args) {
    return run_one<T>(engine_, *texts_, kind::read, settings_.timeout, statement(sql, args...), span());
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> read_one(const statement_terms& terms, query_text sql, const Args&... args) {
    return run_one<T>(engine_, *texts_, kind::read, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// The same; its one row, or nothing.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> read_opt(query_text sql, const Args&... args) {
    return run_opt<T>(engine_, *texts_, kind::read, settings_.timeout, statement(sql, args...), span());
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> read_opt(const statement_terms& terms, query_text sql,
                                                                            const Args&... args) {
    return run_opt<T>(engine_, *texts_, kind::read, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// The same; all rows.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> read_all(query_text sql, const Args&... args) {
    return run_all<T>(engine_, *texts_, kind::read, settings_.timeout, statement(sql, args...), span());
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> read_all(const statement_terms& terms, query_text sql,
                                                                          const Args&... args) {
    return run_all<T>(engine_, *texts_, kind::read, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }

  // --- with any completion token, of signature void(std::exception_ptr, result); completes on the token's associated executor
  /// `exec()` with a completion token.
  template <class Token, class... Args>
  auto async_exec(Token&& token, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::write, settings_.timeout, statement(sql, args...), span());
  }
  template <class Token, class... Args>
  auto async_exec(Token&& token, const statement_terms& terms, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::write, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }
  /// `read()` with a completion token.
  template <class Token, class... Args>
  auto async_read(Token&& token, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::read, settings_.timeout, statement(sql, args...), span());
  }
  template <class Token, class... Args>
  auto async_read(Token&& token, const statement_terms& terms, query_text sql, const Args&... args) {
    return initiate(std::forward<Token>(token), kind::read, terms.limit(settings_.timeout), statement(sql, args...), span(terms.parent()));
  }

  /// Of this moment. To be called where statements are.
  multiplexer_stats stats() const {
    auto out = detail::mux::numbers_of(engine_->state(), tidepool::detail::precise_now<typename Pool::traits_type>());
    out.slowest = traces_->all();
    return out;
  }

  /// Refuses further statements, fails those that wait with `errc::closed`, waits up to `grace` for those that were sent, and gives the
  /// connections back. Cancellation ends the wait only.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(time_limit grace = std::chrono::seconds(10)) {
    return engine_->close(grace);
  }
  /// Gives every connection back, drained, and takes others as they are needed.
  void recycle() { engine_->recycle(); }
  /// What it was made with.
  const multiplexer_options& options() const noexcept { return settings_; }
  const executor_type& get_executor() const noexcept { return engine_->executor(); }

 private:
  using engine_ptr = std::shared_ptr<front>;

  static const multiplexer_options& checked(const multiplexer_options& settings) {
    const auto faults = settings.faults();
    if (!faults.empty()) throw std::invalid_argument("multiplexer_options: " + faults);
    return settings;
  }
  /// Of a statement that is called for now.
  trace_ptr span(const trace_context& parent = {}) const {
    if (!settings_.tracing) [[likely]]
      return nullptr;
    const auto word = [](const std::exception_ptr& failure) noexcept { return detail::mux::failure_in_a_word(failure); };
    return std::make_unique<detail::mux::call_trace>(settings_.tracing, parent, word);
  }
  template <class... Args>
  static detail::request statement(query_text sql, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    return detail::request::parameters(sql, args...);
  }

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
  auto initiate(Token&& token, kind of, duration limit, detail::request what, trace_ptr trace) {
    return asio::async_initiate<Token, void(std::exception_ptr, result)>(
        [](auto handler, engine_ptr to, detail::mux::known_texts* texts, kind which, duration within, detail::request&& asked,
           trace_ptr&& span_of_it) {
          using made = detail::mux::token_call<front, outcome, decltype(handler)>;
          const auto prepare = [which, &span_of_it](call& c) {
            set(c, which, std::move(span_of_it));
            const auto why = refusal(c);
            if (!why.empty()) c.failure = std::make_exception_ptr(refused(why));
            return why.empty();
          };
          made::start(std::move(to), within, std::move(handler), prepare, std::move(asked), *texts);
        },
        token, engine_, texts_.get(), of, limit, std::move(what), std::move(trace));
  }
  static void set(call& c, kind of, trace_ptr trace) noexcept {
    c.kind = of;
    c.bytes = static_cast<std::uint32_t>(std::min<std::size_t>(c.what.size() + 64, UINT32_MAX));
    c.traced = std::move(trace);
    if (c.traced) [[unlikely]]
      describe(c);
  }
  [[gnu::cold]] static void describe(call& c) noexcept {
    const bool named = c.text != nullptr && c.text->named;
    c.traced->describe(tidepool::detail::driver::tag_of(c.what.sql()), named ? std::string_view(c.text->name.data()) : std::string_view(),
                       c.what.from());
  }
  static std::string_view refusal(const call& c) noexcept {
    return c.text != nullptr ? c.text->refused : detail::mux::why_refused(c.what.sql());
  }
  static error refused(std::string_view why) { return {errc::bad_usage, "the statement " + std::string(why) + ": nothing was sent"}; }

  struct waiting : detail::mux::coroutine_call<front> {
    waiting(engine_ptr to, detail::mux::known_texts& among, kind of, detail::request&& asked, trace_ptr&& trace)
        : detail::mux::coroutine_call<front>(std::move(to), std::move(asked), among) {
      set(*this, of, std::move(trace));
      const auto why = refusal(*this);
      if (!why.empty()) throw refused(why);
    }
  };
  /// Its rows are read when they come, by a member of `result`.
  template <class Value, Value (result::*Read)() const>
  struct reading : waiting {
    template <class... Args>
    explicit reading(Args&&... args) : waiting(std::forward<Args>(args)...) {
      this->absorb = [](detail::mux::shared_statement& answered) noexcept {
        auto& self = static_cast<reading&>(answered);
        self.value.reset();
        try {
          self.value.emplace((self.got.*Read)());
        } catch (...) {  // taken() tells why
        }
        return self.value.has_value();
      };
    }
    /// The value, or the exception.
    Value taken() {
      if (this->how == detail::mux::verdict::answered && !this->failure && value) [[likely]]
        return std::move(*value);
      return (take(*this).*Read)();
    }
    std::optional<Value> value = {};
  };
  /// These coroutines own what they need, because the multiplexer may be destroyed meanwhile.
  static awaitable<result> run(engine_ptr to, detail::mux::known_texts& texts, kind of, duration limit, detail::request what,
                               trace_ptr trace) {
    waiting w(std::move(to), texts, of, std::move(what), std::move(trace));
    co_await w.template async_wait<executor_type>(limit);
    co_return take(w);
  }
  template <class T>
  static awaitable<T> run_one(engine_ptr to, detail::mux::known_texts& texts, kind of, duration limit, detail::request what,
                              trace_ptr trace) {
    (void)tidepool::detail::require_row<T, detail::codecs>();
    reading<T, &result::one<T>> w(std::move(to), texts, of, std::move(what), std::move(trace));
    co_await w.template async_wait<executor_type>(limit);
    co_return w.taken();
  }
  template <class T>
  static awaitable<std::optional<T>> run_opt(engine_ptr to, detail::mux::known_texts& texts, kind of, duration limit, detail::request what,
                                             trace_ptr trace) {
    (void)tidepool::detail::require_row<T, detail::codecs>();
    reading<std::optional<T>, &result::opt<T>> w(std::move(to), texts, of, std::move(what), std::move(trace));
    co_await w.template async_wait<executor_type>(limit);
    co_return w.taken();
  }
  template <class T>
  static awaitable<std::vector<T>> run_all(engine_ptr to, detail::mux::known_texts& texts, kind of, duration limit, detail::request what,
                                           trace_ptr trace) {
    (void)tidepool::detail::require_row<T, detail::codecs>();
    reading<std::vector<T>, &result::all<T>> w(std::move(to), texts, of, std::move(what), std::move(trace));
    co_await w.template async_wait<executor_type>(limit);
    co_return w.taken();
  }
  /// The result, or the exception.
  static result take(call& told) {
    if (told.how == detail::mux::verdict::answered && !told.failure) [[likely]]
      return std::move(told.got);
    detail::mux::fail(told, told.how, told.failure, told.trouble);
  }

  multiplexer_options settings_;
  std::shared_ptr<detail::mux::known_texts> texts_;
  engine_ptr engine_;
  std::unique_ptr<detail::mux::slow_traces> traces_;
};

/// `postgres::multiplexer mux(pool);`
using multiplexer = basic_multiplexer<pool>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
