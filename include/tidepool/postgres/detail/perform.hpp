// SPDX-License-Identifier: BSL-1.0
// tidepool - runs one request to its end, and makes a result or an error of the answers.
#ifndef TIDEPOOL_POSTGRES_DETAIL_PERFORM_HPP
#define TIDEPOOL_POSTGRES_DETAIL_PERFORM_HPP

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "operation.hpp"
#include "request.hpp"
#include "second.hpp"
#include "session.hpp"
#include "sql_text.hpp"
#include "waiting.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// A write was refused by a read-only server or transaction. Where writes are wanted, the server is asked for its kind before the
/// connection is used again; where any server will do, this returns a hint how to connect to a writable one.
template <class = void>
inline std::string refused_write(session& s) {
  if (s.reads_only) return {};
  const auto& told = s.settings().on_refused_write;
  if (told && told()) s.retire = true;
  const auto wanted = s.settings().target();
  if (wanted == session_attrs::read_write || wanted == session_attrs::primary) {
    s.role_unconfirmed = true;
    return {};
  }
  const char* const standby = PQparameterStatus(s.pg(), "in_hot_standby");
  if (wanted != session_attrs::any || standby == nullptr || std::string_view(standby) != "on") return {};
  return "this server is a standby (target_session_attrs=read-write leads to one that takes writes)";
}

template <class = void>
inline bool is_copy(ExecStatusType status) noexcept {
  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/// Checks the encoding the server has reported, when it has changed. In an encoding that PostgreSQL has for clients only (SJIS, BIG5), the
/// second byte of a character may be a backslash, a brace or a comma: arrays and COPY would be read and written wrongly. A session with
/// such an encoding is not used any more.
template <class = void>
inline bool encoding_turned_unsafe(session& s) noexcept {
  const int now = PQclientEncoding(s.pg());
  if (now == s.encoding) return false;
  s.encoding = now;
  if (pg_valid_server_encoding_id(now) == 1) return false;
  s.broken = true;
  return true;
}
template <class = void>
inline std::string unsafe_encoding_text(session& s) {
  const char* const name = PQparameterStatus(s.pg(), "client_encoding");
  return "client_encoding is " + printable(name == nullptr ? "unknown" : name, 40) +
         ", in which arrays and COPY cannot be read safely: use UTF8, and convert in the program";
}

template <class = void>
[[gnu::cold, gnu::noinline]] inline void note_origin(const session& s, PGresult* of) {
  if (s.current != nullptr) note_origin(of, s.text_in_errors(*s.current), s.current->from());
}

inline constexpr const char* unreplicated_text =
    "COMMIT was cancelled while it waited for a synchronous standby: it is committed on this server, and lost if another one takes over "
    "before "
    "it is replicated";

/// Gathers the results of one request: keeps the last good one and the first error, which is the cause of later ones.
template <class = void>
class basic_outcome {
 public:
  /// False for a COPY, which libpq reports again and again until it is served. Throws when the server ends the session: nothing follows.
  bool take(session& s, result_handle got) {
    s.note_size(got.get());
    const auto status = PQresultStatus(got.get());
    switch (status) {
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH: given_up_ = status == PGRES_COPY_IN; return false;
      case PGRES_BAD_RESPONSE:
      case PGRES_NONFATAL_ERROR:
      case PGRES_FATAL_ERROR:
        if (diagnosis::of(got.get()).fatal()) {
          failure_ = std::move(got);
          throw_failure(s);
        }
        if (!failure_ && !is_own_doing(got.get())) failure_ = std::move(got);
        break;
      default: {
        const char* const tag = PQcmdStatus(got.get());
        // SET, and what begins as RESET, DISCARD, DEALLOCATE, DO, CREATE, ALTER and DROP do.
        if (*tag == 'S' ? tag[1] == 'E' && tag[2] == 'T' : *tag == 'R' || (*tag <= 'D' && *tag != 'B')) tags_.take(tag);
        good_ = std::move(got);
      }
    }
    return true;
  }
  /// An error of the driver's own about the request, whatever the server answers.
  void fail(errc reason, std::string text) {
    if (reason_ == errc::server) {
      reason_ = reason;
      text_ = std::move(text);
    }
  }
  /// The error for a COPY that `take()` met and that `refuse_copy()` ends.
  void refuse() {
    fail(errc::bad_usage,
         given_up_ ? "COPY ... FROM STDIN is served only as the first statement of copy_in(): it was given up, and its transaction failed"
                   : "COPY ... TO STDOUT is served only as the first statement of copy_out(): it was run, and its rows were dropped");
  }

  /// After the last result: the result, or the exception. `sql`: what was sent, where that is known.
  result conclude(session& s, std::string_view sql = {}) {
    check(s, sql);
    // ReadyForQuery without an answer: it is unknown what was done.
    if (!good_) throw s.lost("by an answer without an end");
    if (s.settings().statement_in_errors) note_origin(s, good_.get());
    return result(std::move(good_));
  }
  /// The same where no result has to come.
  void check(session& s, std::string_view sql = {}) {
    if (tags_.any() || creates(sql)) s.note_tags(tags_, sql);
    s.answered();
    const bool unsafe = encoding_turned_unsafe(s);
    if (s.unreplicated) throw_unreplicated(s);
    if (failure_ || reason_ != errc::server || PQstatus(s.pg()) != CONNECTION_OK) throw_failure(s);
    s.last_answer = clock::real_now();
    if (unsafe) throw_unsafe(s);
  }

 private:
  /// The server says that it was done. That is no promise any more.
  [[noreturn, gnu::cold, gnu::noinline]] static void throw_unreplicated(session& s) {
    s.broken = true;
    diagnosis said;
    s.note_statement(said);
    throw error(errc::outcome_unknown, unreplicated_text, std::move(said));
  }
  [[noreturn, gnu::cold, gnu::noinline]] static void throw_unsafe(session& s) {
    diagnosis said;
    s.note_statement(said);
    throw error(errc::bad_usage, "the statement was run, and the connection cannot be used any more: " + unsafe_encoding_text(s),
                std::move(said));
  }
  /// The end of the session is more important than any other error.
  [[noreturn, gnu::cold, gnu::noinline]] void throw_failure(session& s) {
    diagnosis said;
    if (failure_) said = diagnosis::of(failure_.get());
    const bool stopped = s.limits.stop() && said.sqlstate == "57014";
    if (s.traced && !stopped) s.traced->failed(said.sqlstate);
    // A result without SQLSTATE was made by libpq itself: the socket is gone.
    const bool lost = failure_ && (said.sqlstate.empty() || said.fatal());
    if (lost || PQstatus(s.pg()) != CONNECTION_OK) {
      if (failure_ && s.fatal.message.empty()) s.note_fatal(std::move(said));
      throw s.lost("");
    }
    s.last_answer = clock::real_now();
    if (reason_ == errc::server && s.limits.stop() && s.limits.stop()->why == stopping::cause::late && said.sqlstate == "57014") {
      throw_stopped(s, *s.limits.stop(), std::move(said));
    }
    std::string words = s.explain(said);
    if (said.read_only()) words = refused_write(s);
    if (reason_ == errc::server) throw error(errc::server, words, std::move(said));
    throw error(reason_, failure_ ? text_ + "; then" : text_, std::move(said));
  }
  /// The server's answer to a COPY that was given up here.
  bool is_own_doing(const PGresult* got) const {
    const char* const state = PQresultErrorField(got, PG_DIAG_SQLSTATE);
    return given_up_ && state != nullptr && std::string_view(state) == "57014";
  }

  result_handle good_;
  result_handle failure_;
  command_tags tags_;
  bool given_up_ = false;
  errc reason_ = errc::server;
  std::string text_;
};
using outcome = basic_outcome<>;

/// Refuses a statement before anything of it is sent.
template <class = void>
[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_request(const session& s, const request& what, const char* why,
                                                                  errc reason = errc::bad_usage) {
  diagnosis said;
  if (s.settings().statement_in_errors) s.name_statement(said, what);
  throw error(reason, why, std::move(said));
}
/// Refuses a COPY that the caller cannot serve, where its text shows that.
template <class = void>
inline void refuse_copy_text(const session& s, const request& what) {
  const auto sql = what.sql();
  if (!may_be_copy(sql)) return;
  const auto kind = copy_kind_of(sql);
  if (kind == copy_kind::from_client) refuse_request(s, what, "COPY ... FROM STDIN needs copy_in(): nothing was sent");
  if (kind == copy_kind::to_client) refuse_request(s, what, "COPY ... TO STDOUT needs copy_out(): nothing was sent");
}

/// The result of an operation that was stopped and has ended. The server's answer counts; only where that is 57014 (query_canceled) was the
/// operation cancelled.
template <class = void>
inline asio::awaitable<result> conclude_stopped(session_ptr s, outcome& all) {
  co_await settle(s);
  diagnosis said;
  try {
    co_return all.conclude(*s);
  } catch (const error& failure) {
    if (s->limits.stop()->why != stopping::cause::cancelled || failure.reason() != errc::server || !failure.is("57014")) throw;
  }
  throw_stopped(*s, *s->limits.stop(), std::move(said));
}

/// Ends a COPY that was started by something else than `copy_in()` or `copy_out()`.
template <class = void>
inline asio::awaitable<void> refuse_copy(session_ptr s) {
  if (PQputCopyEnd(s->pg(), "it was not started by copy_in()") == 1) {
    co_await flush(s);
    co_return;
  }
  for (;;) {
    char* data = nullptr;
    const int size = PQgetCopyData(s->pg(), &data, 1);
    if (data != nullptr) PQfreemem(data);
    if (size < 0) co_return;
    s->note_size(static_cast<std::size_t>(size));
    if (size == 0) co_await receive(s);
  }
}

/// Takes the answers that are still to come. Returns the rows of the first COPY among them; other statements may follow in its text.
template <class = void>
inline asio::awaitable<std::optional<std::uint64_t>> take_the_rest(session_ptr s, outcome& all) {
  std::optional<std::uint64_t> copied;
  for (;;) {
    result_handle got = co_await next_result(s);
    if (!got) co_return copied;
    if (!copied && std::string_view(PQcmdStatus(got.get())).starts_with("COPY")) copied = affected_rows(got.get());
    const bool taken = all.take(*s, std::move(got));
    if (!taken) {
      all.refuse();
      co_await refuse_copy(s);
    }
  }
}
/// Reads an operation that is being stopped to its end, and returns its result.
template <class = void>
inline asio::awaitable<result> finish_stopped(session_ptr s, operation& running, outcome& all) {
  (void)co_await take_the_rest(s, all);
  running.finished();
  co_return co_await conclude_stopped(s, all);
}

/// What is sent, in a word.
template <class = void>
inline std::string_view tag_of(const request& what) noexcept {
  switch (what.kind()) {
    case request::verb::prepare: return "PREPARE";
    case request::verb::describe: return "DESCRIBE";
    case request::verb::close: return "DEALLOCATE";
    default: return what.by_name() ? std::string_view("EXECUTE") : tidepool::detail::driver::tag_of(what.sql());
  }
}
template <class = void>
[[gnu::cold, gnu::noinline]] inline void trace_request(session& s, const request& what) noexcept {
  const bool own = what.kind() == request::verb::simple && !what.name().empty();  // of the driver
  s.traced->begin(clock::now(), tag_of(what), what.statement_name(), own ? source_location() : what.from(), s.peer);
}

/// Puts a request into libpq's buffer; it has to live as long as the operation. When libpq refuses it, nothing was sent and the connection
/// stays usable.
template <class = void>
inline void put_request(session& s, operation& running, const request& what) {
  if (what.limit != no_limit) s.limits.each_within(what.limit);
  s.note_sent_size(what.size());
  s.current = &what;
  if (s.traced) trace_request(s, what);
  if (what.send(s.pg())) {
    ++s.requests_sent;
    return;
  }
  const std::string why(first_line(PQerrorMessage(s.pg())));
  if (PQstatus(s.pg()) != CONNECTION_OK) throw s.lost("while sending");
  running.finished();
  refuse_request(s, what, ("libpq refuses the statement: " + printable(why, 200)).c_str());
}

/// Puts the Sync of a pipeline into libpq's buffer. libpq before 17 sends the buffer with each one: a system call for each.
template <class = void>
inline bool put_sync(PGconn* connection) noexcept {
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
  return PQsendPipelineSync(connection) == 1;
#else
  return PQpipelineSync(connection) == 1;
#endif
}

/// See setup.hpp.
template <class = void>
inline asio::awaitable<void> ask_role(session_ptr s);

/// A server that was silent for long may have been replaced meanwhile: before the next operation of a caller it is asked for its kind.
template <class = void>
inline bool is_to_be_asked(const session& s) noexcept {
  return s.limits.was_silent() && PQtransactionStatus(s.pg()) != PQTRANS_INERROR;
}
template <class = void>
inline asio::awaitable<void> ask_after_silence(session_ptr s) {
  if (!s->limits.take_long_silence()) co_return;
  co_await ask_role(s);
  if (!s->wrong_role) co_return;
  s->broken = true;
  throw error(errc::connection_lost, s->server_name() + " was silent for long, and is not what target_session_attrs asks for any more");
}

/// Whether an operation may not begin at once.
template <class = void>
inline bool is_held_up(const session& s) noexcept {
  return s.busy || is_to_be_asked(s);
}
/// What comes first then: one await, because each one in `perform()` costs every statement some instructions.
template <class = void>
inline asio::awaitable<void> make_way(session_ptr s, std::string_view verb, duration limit) {
  return s->busy ? refuse_second(std::move(s), verb, limit) : ask_after_silence(std::move(s));
}

/// Sends one request and collects its results until the server is ready for the next.
template <class Lazy = void>
inline asio::awaitable<result> perform(session_ptr s, request what, operation::allow when = operation::allow::clean) {
  refuse_copy_text(*s, what);
  if (is_held_up(*s)) co_await make_way(s, what.called(), what.limit);
  operation running(*s, when);
  if (what.limit != no_limit) s->limits.all_within(what.limit);
  put_request(*s, running, what);
  bool stopped = false;
  const int unsent = PQflush(s->pg());
  if (unsent != 0) {
    co_await flush(s);
    stopped = s->limits.stop().has_value();
  }
  outcome all;
  error_code failure;
  while (!stopped) {
    // As next_result(), without a coroutine of its own: this is the path of every statement.
    for (int busy = PQisBusy(s->pg()); busy == 1 && !stopped;) {
      if (s->limits.watched()) {
        co_await wait_for_input(s);
        stopped = s->limits.stop().has_value();
      } else if (!tls_pending(s->pg())) {
        s->limits.waits();
        co_await s->template async_wait<Lazy>(wait_type::wait_read, failure);
        s->waited();
      }
      const bool read = PQconsumeInput(s->pg()) == 1;
      s->take_notifications();
      if (!read) {
        if (PQstatus(s->pg()) == CONNECTION_OK && !stopped) throw s->lost("while receiving");
        break;
      }
      busy = PQisBusy(s->pg());
      if (busy == 1 && !stopped) {
        // The cancellation state is looked at before anything else is awaited.
        const auto state = co_await asio::this_coro::cancellation_state;
        if (failure || state.cancelled() != asio::cancellation_type::none) {
          const bool throws = co_await asio::this_coro::throw_if_cancelled();
          co_await asio::this_coro::throw_if_cancelled(false);
          co_await interrupted(s, std::exchange(failure, error_code()), throws);
          stopped = s->limits.stop().has_value();
        }
      }
    }
    if (stopped) break;
    result_handle got(PQgetResult(s->pg()));
    if (!got) break;
    const bool taken = all.take(*s, std::move(got));
    if (!taken) {
      all.refuse();
      co_await refuse_copy(s);
      stopped = s->limits.stop().has_value();
    }
  }
  if (stopped) co_return co_await finish_stopped(s, running, all);
  running.finished();
  co_return all.conclude(*s, what.sql());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#include "setup.hpp"  // ask_role()

#endif
