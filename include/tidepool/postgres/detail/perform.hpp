// tidepool - libpq's asynchronous calls as coroutines: flush, wait for input, run one request to its end.
#ifndef TIDEPOOL_POSTGRES_DETAIL_PERFORM_HPP
#define TIDEPOOL_POSTGRES_DETAIL_PERFORM_HPP

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "request.hpp"
#include "session.hpp"
#include "sql_text.hpp"

namespace tidepool::postgres::detail {

using wait_type = asio::posix::stream_descriptor::wait_type;

inline void throw_if_failed(session& s, error_code failure) {
  if (!failure) return;
  if (failure == asio::error::operation_aborted) throw std::system_error(failure);
  throw s.lost("while waiting: " + failure.message());
}

/// Waits until the socket can be read, and lets libpq read it.
inline asio::awaitable<void> receive(session_ptr s) {
  if (!tls_pending(s->pg())) {
    error_code failure;
    co_await s->async_wait(wait_type::wait_read, failure);
    throw_if_failed(*s, failure);
  }
  const bool read = PQconsumeInput(s->pg()) == 1;
  s->take_notifications();
  if (!read) throw s->lost("while receiving");
}

/// A server that ends a session while we send has said why in what it has sent before.
inline void hear_last_words(session& s) {
  for (int i = 0; i < 100 && s.fatal.message.empty() && PQisBusy(s.pg()) == 0; ++i) {
    const result_handle got(PQgetResult(s.pg()));
    if (!got) return;
    auto said = diagnosis::of(got.get());
    if (said.fatal()) s.fatal = std::move(said);
  }
}

/// Sends all that libpq has buffered. Reads meanwhile: the server may not read before it could write.
inline asio::awaitable<void> flush(session_ptr s) {
  for (;;) {
    const int left = PQflush(s->pg());
    if (left == 0) co_return;
    if (left < 0 || PQconsumeInput(s->pg()) == 0) {
      hear_last_words(*s);
      throw s->lost("while sending");
    }
    s->take_notifications();
    std::weak_ptr<tidepool::detail::gate> either;
    {
      const auto gate = std::make_shared<tidepool::detail::gate>();
      either = gate;
      for (const auto direction : {wait_type::wait_write, wait_type::wait_read}) {
        s->socket().async_wait(direction, [gate](error_code) { gate->open(); });
      }
    }
    co_await tidepool::detail::gate::wait(either);
    s->socket().cancel();  // the slower of the two
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      throw std::system_error(asio::error::make_error_code(asio::error::operation_aborted));
  }
}

/// The next result, or null at the end of a statement. Never blocks: libpq is asked only when it has everything.
inline asio::awaitable<result_handle> next_result(session_ptr s) {
  while (PQisBusy(s->pg()) == 1) {
    if (!tls_pending(s->pg())) {
      error_code failure;
      co_await s->async_wait(wait_type::wait_read, failure);
      throw_if_failed(*s, failure);
    }
    const bool read = PQconsumeInput(s->pg()) == 1;
    s->take_notifications();
    if (!read) {
      // What was received before the end is still worth reading; unless libpq is out of memory, then it would block.
      if (PQstatus(s->pg()) == CONNECTION_OK) throw s->lost("while receiving");
      break;
    }
  }
  co_return result_handle(PQgetResult(s->pg()));
}

/// A write was refused by a read-only server or transaction. Whether by the server is asked before the connection is used again, where
/// writes are wanted; where any server will do, the error says how to be led to a writable one.
inline std::string refused_write(session& s) {
  if (s.reads_only) return {};
  const auto wanted = s.settings().target();
  if (wanted == session_attrs::read_write || wanted == session_attrs::primary) {
    s.role_doubted = true;
    return {};
  }
  const char* const standby = PQparameterStatus(s.pg(), "in_hot_standby");
  if (wanted != session_attrs::any || standby == nullptr || std::string_view(standby) != "on") return {};
  return "this server is a standby (target_session_attrs=read-write leads to one that takes writes)";
}

/// Looks at the encoding the server has reported, where it is another one than before. In one that PostgreSQL knows for clients only, the
/// second byte of a character may be a backslash, a brace or a comma: arrays and COPY would be read and written wrongly. A session
/// that has come to such a one is of no more use.
inline bool encoding_turned_unsafe(session& s) noexcept {
  const int now = PQclientEncoding(s.pg());
  if (now == s.encoding) return false;
  s.encoding = now;
  if (pg_valid_server_encoding_id(now) == 1) return false;
  s.broken = true;
  return true;
}
inline std::string unsafe_encoding_text(session& s) {
  const char* const name = PQparameterStatus(s.pg(), "client_encoding");
  return "client_encoding is " + printable(name == nullptr ? "unknown" : name, 40) +
         ", in which arrays and COPY cannot be read safely: use UTF8, and convert in the program";
}

/// Gathers the results of one request: keeps the last good one and the first bad one, which has the reason.
class outcome {
 public:
  /// False for COPY, which libpq reports over and over until it is served.
  bool take(result_handle got) {
    const auto status = PQresultStatus(got.get());
    switch (status) {
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH: given_up_ = status == PGRES_COPY_IN; return false;
      case PGRES_BAD_RESPONSE:
      case PGRES_NONFATAL_ERROR:
      case PGRES_FATAL_ERROR:
        if (!failure_ && !is_own_doing(got.get())) failure_ = std::move(got);
        break;
      default: {
        const std::string_view tag = PQcmdStatus(got.get());
        forgotten_ = forgotten_ || tag == "DISCARD ALL" || tag == "DEALLOCATE ALL";
        good_ = std::move(got);
      }
    }
    return true;
  }
  /// What this side makes of the request, whatever the server says to it.
  void fail(errc reason, std::string text) {
    if (reason_ == errc::server) {
      reason_ = reason;
      text_ = std::move(text);
    }
  }
  /// The COPY that `take()` met is given up by `refuse_copy()`; tells what becomes of it.
  void refuse() {
    fail(errc::bad_usage,
         given_up_ ? "COPY ... FROM STDIN is served only as the first statement of copy_in(): it was given up, and its transaction failed"
                   : "COPY ... TO STDOUT is served only as the first statement of copy_out(): it was run, and its rows were dropped");
  }

  /// After the last result: the result, or the exception.
  result conclude(session& s) {
    s.last_answer = clock::now();
    if (forgotten_) s.prepared.clear();
    const bool unsafe = encoding_turned_unsafe(s);
    if (failure_ || reason_ != errc::server || PQstatus(s.pg()) != CONNECTION_OK) throw_failure(s);
    if (unsafe) throw error(errc::bad_usage, "the statement was run, and the connection is of no more use: " + unsafe_encoding_text(s));
    const auto limit = s.settings().retire_after_result_bytes;
    if (good_ && limit != no_limit && PQresultMemorySize(good_.get()) > limit) s.retire = true;
    return result(std::move(good_));
  }

 private:
  /// The end of the session comes before everything else.
  [[noreturn]] void throw_failure(session& s) {
    diagnosis said;
    if (failure_) said = diagnosis::of(failure_.get());
    // A result without SQLSTATE is libpq's own: the socket is gone.
    const bool lost = failure_ && (said.sqlstate.empty() || said.fatal());
    if (lost || PQstatus(s.pg()) != CONNECTION_OK) {
      if (failure_ && s.fatal.message.empty()) s.fatal = std::move(said);
      throw s.lost("");
    }
    std::string hint;
    if (said.read_only()) hint = refused_write(s);
    if (reason_ == errc::server) throw error(errc::server, hint, std::move(said));
    throw error(reason_, failure_ ? text_ + "; then" : text_, std::move(said));
  }
  /// The server's answer to a COPY that was given up here.
  bool is_own_doing(const PGresult* got) const {
    const char* const state = PQresultErrorField(got, PG_DIAG_SQLSTATE);
    return given_up_ && state != nullptr && std::string_view(state) == "57014";
  }

  result_handle good_;
  result_handle failure_;
  bool forgotten_ = false;  ///< the server has no prepared statement any more
  bool given_up_ = false;
  errc reason_ = errc::server;
  std::string text_;
};

/// Refuses a COPY before it is sent by a verb that cannot serve it, where the text tells.
inline void refuse_copy_text(std::string_view sql) {
  if (!may_be_copy(sql)) return;
  const auto kind = copy_kind_of(sql);
  if (kind == copy_kind::from_client) throw error(errc::bad_usage, "COPY ... FROM STDIN needs copy_in(): nothing was sent");
  if (kind == copy_kind::to_client) throw error(errc::bad_usage, "COPY ... TO STDOUT needs copy_out(): nothing was sent");
}

/// Ends a COPY that was started through a verb that cannot serve it.
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
    if (size == 0) co_await receive(s);
  }
}

/// Puts a request into libpq's buffer. When libpq refuses it, nothing was sent and the connection lives.
inline void put_request(session& s, operation& running, const request& what) {
  if (what.send(s.pg())) return;
  const std::string why(first_line(PQerrorMessage(s.pg())));
  if (PQstatus(s.pg()) != CONNECTION_OK) throw s.lost("while sending");
  running.finished();
  throw error(errc::bad_usage, "libpq refuses the statement: " + printable(why, 200));
}

/// Sends one request and collects its results until the server is ready for the next.
inline asio::awaitable<result> perform(session_ptr s, request what, operation::allow when = operation::allow::clean) {
  refuse_copy_text(what.sql());
  operation running(*s, when);
  put_request(*s, running, what);
  const int unsent = PQflush(s->pg());
  if (unsent != 0) co_await flush(s);
  outcome all;
  for (;;) {
    // As next_result(), without a coroutine of its own: this is the path of every statement.
    while (PQisBusy(s->pg()) == 1) {
      if (!tls_pending(s->pg())) {
        error_code failure;
        co_await s->async_wait(wait_type::wait_read, failure);
        throw_if_failed(*s, failure);
      }
      const bool read = PQconsumeInput(s->pg()) == 1;
      s->take_notifications();
      if (!read) {
        if (PQstatus(s->pg()) == CONNECTION_OK) throw s->lost("while receiving");
        break;
      }
    }
    result_handle got(PQgetResult(s->pg()));
    if (!got) break;
    const bool taken = all.take(std::move(got));
    if (!taken) {
      all.refuse();
      co_await refuse_copy(s);
    }
  }
  running.finished();
  co_return all.conclude(*s);
}

}  // namespace tidepool::postgres::detail

#endif
