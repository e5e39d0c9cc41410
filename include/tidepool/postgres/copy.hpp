// SPDX-License-Identifier: BSL-1.0
// tidepool - COPY: bulk data in and out, in text format.
#ifndef TIDEPOOL_POSTGRES_COPY_HPP
#define TIDEPOOL_POSTGRES_COPY_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../version.hpp"
#include "detail/copy_text.hpp"
#include "detail/copy_watch.hpp"
#include "detail/drain.hpp"
#include "detail/row_type.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Writes a `COPY ... FROM STDIN`:
///
///     auto out = co_await c.copy_in("copy t (id, name) from stdin");
///     for (const auto& x : many) co_await out.row(x.id, x.name);
///     const auto rows = co_await out.finish();
/// Gathers 64 KiB, then sends them as fast as the server takes them, and lets other coroutines of the event loop run. When the server
/// refuses the COPY meanwhile (a malformed row, a violated constraint, a server that stops), `row()` and `write()` throw its error, within
/// 64 KiB after it has arrived; the COPY has then ended, no row was taken, and the connection is ready for the next statement. Where the
/// error cannot be seen early (GSS encryption), `finish()` throws it. The connection serves nothing else until `finish()` or `abort()`; a
/// writer that is destroyed before leaves a connection that cannot be used any more, and no row in the table.
class copy_writer {
 public:
  copy_writer(detail::session_ptr s, std::unique_ptr<detail::statement_run> running, bool plain)
      : session_(std::move(s)), running_(std::move(running)), plain_(plain) {}
  copy_writer(copy_writer&&) noexcept = default;
  copy_writer& operator=(copy_writer&&) = delete;

  /// One row in text format; NULL, tabs, line ends and bytes are encoded. `bad_usage` where the statement asks for CSV, binary, or options
  /// that change the text format.
  template <class... Columns>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> row(const Columns&... columns) {
    (void)(detail::require_encoder<Columns>() && ...);
    if (!plain_) throw error(errc::bad_usage, "row() writes COPY's text format without options of its own: use write()");
    refuse_beside_another();
    const auto before = buffer_.size();
    try {
      detail::append_copy_row(buffer_, columns...);
    } catch (...) {
      buffer_.resize(before);
      throw;
    }
    return send_block();
  }
  /// Sends data as it is, in the format that the statement names; pieces need not end at the end of a row.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> write(std::string_view data) {
    refuse_beside_another();
    buffer_.append(data);
    return send_block();
  }
  /// Ends the data; returns how many rows the server took. Throws its error, for example for a malformed or duplicate row:
  /// then none was taken, and the connection is ready for the next statement.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::uint64_t> finish() {
    const detail::one_call only(in_call_, "a copy_in()");
    co_return co_await end(nullptr);
  }
  /// Ends the COPY without its data: no row is taken, and the connection is ready for the next statement.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> abort() {
    const detail::one_call only(in_call_, "a copy_in()");
    bool refused = false;
    buffer_.clear();
    try {
      (void)co_await end("given up");
    } catch (const error& failure) {
      if (failure.reason() != errc::server) throw;
      refused = true;  // by `abort()`, or by the server before
    }
    if (!refused) throw error(errc::bad_usage, "the server took a COPY that was given up");
  }

 private:
  /// How much is sent at once: with its header, one piece of libpq's.
  static constexpr std::size_t piece_size = 8192 - 5;

  /// What is being sent must not be appended to.
  void refuse_beside_another() { const detail::one_call only(in_call_, "a copy_in()"); }
  asio::awaitable<void> send_block() {
    if (running_ && buffer_.size() < detail::copy_block && !in_call_) co_return;
    const detail::one_call only(in_call_, "a copy_in()");
    co_await pass_on(detail::copy_block);
  }
  asio::awaitable<void> pass_on(std::size_t limit) {
    if (!running_) throw error(errc::bad_usage, "the COPY has ended: begin another one with copy_in()");
    if (buffer_.size() < limit) co_return;
    std::string_view rest = buffer_;
    while (!rest.empty()) {
      // libpq would take everything into memory, and read and keep an error without telling when the socket is full. So the socket is
      // looked at first.
      co_await room();
      const auto piece = rest.substr(0, piece_size);
      int left = PQputCopyData(session_->pg(), piece.data(), static_cast<int>(piece.size())) == 1 ? PQflush(session_->pg()) : -1;
      while (left > 0) {
        co_await room();
        left = PQflush(session_->pg());
      }
      if (left < 0) {
        detail::read_final_error(*session_);
        throw session_->lost("while copying");
      }
      rest.remove_prefix(piece.size());
    }
    buffer_.clear();
    // A server that takes everything at once would keep the event loop from serving others.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await asio::post(asio::use_awaitable);
    co_await detail::interrupted(session_, error_code(), throws);
    if (session_->limits.stop()) co_await stopped();
  }
  /// Waits until the socket takes more. Throws the server's error when that comes first.
  asio::awaitable<void> room() {
    for (;;) {
      const auto seen = watch_.at(*session_);
      if (seen == detail::copy_watch::look::room) co_return;
      if (seen == detail::copy_watch::look::refused) {
        buffer_.clear();
        (void)co_await end("refused by the server");
        throw error(errc::bad_usage, "the COPY was given up");
      }
      co_await detail::wait_watched(session_, true);
      if (session_->limits.stop()) co_await stopped();
    }
  }
  asio::awaitable<std::uint64_t> end(const char* reason) {
    co_await pass_on(1);
    if (PQputCopyEnd(session_->pg(), reason) != 1) throw session_->lost("while copying");
    co_await detail::flush(session_);
    detail::outcome all;
    std::optional<std::uint64_t> rows;
    for (;;) {
      detail::result_handle got = co_await detail::next_result(session_);
      if (!got) break;
      // Other statements may follow in the text.
      if (!rows && std::string_view(PQcmdStatus(got.get())).starts_with("COPY")) rows = detail::affected_rows(got.get());
      const bool taken = all.take(*session_, std::move(got));
      if (!taken) {
        all.refuse();
        co_await detail::refuse_copy(session_);
      }
    }
    running_->finished();
    const auto ended = std::exchange(running_, nullptr);  // holds the statement, which errors name
    if (session_->limits.stop()) {
      (void)co_await detail::conclude_stopped(session_, all);
    } else {
      (void)all.conclude(*session_);
    }
    if (!rows) throw session_->lost("by an answer that is none to COPY");
    co_return *rows;
  }
  /// Ends the COPY in the middle of the data: none of it is taken.
  asio::awaitable<void> stopped() {
    co_await detail::drain_stopped(session_, *running_);
    running_.reset();
    detail::throw_stopped(*session_, *session_->limits.stop(), {});
  }

  detail::session_ptr session_;
  std::unique_ptr<detail::statement_run> running_;
  bool plain_;
  bool in_call_ = false;
  std::string buffer_;
  detail::copy_watch watch_;
};

/// Reads a `COPY ... TO STDOUT`. The server is read no faster than rows are taken. As with a stream, the connection serves
/// nothing else until the last row was read or `close()` was awaited.
class copy_reader {
 public:
  copy_reader(detail::session_ptr s, std::unique_ptr<detail::statement_run> running, bool plain)
      : session_(std::move(s)), running_(std::move(running)), plain_(plain) {}
  copy_reader(copy_reader&&) noexcept = default;
  copy_reader& operator=(copy_reader&&) = delete;

  /// The next piece as the server sent it: in text format one row with its line end. Valid until the next call; empty after
  /// the last.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<std::string_view>> next() {
    const detail::one_call only(in_call_, "a copy_out()");
    data_.reset();
    while (running_) {
      char* raw = nullptr;
      const int size = PQgetCopyData(session_->pg(), &raw, 1);
      data_.reset(raw);
      if (size > 0) session_->note_size(static_cast<std::size_t>(size));
      if (size > 0 && session_->limits.stop()) continue;  // being stopped: rows are dropped
      if (size > 0) co_return std::string_view(raw, static_cast<std::size_t>(size));
      if (size == 0) {
        co_await detail::receive(session_);
        continue;
      }
      co_await conclude();
    }
    co_return std::nullopt;
  }
  /// The next row of a text format COPY as T: as for `all<T>()`. `bad_usage` where the statement asks for CSV, binary, or options that
  /// change the text format.
  template <class T>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> row() {
    (void)detail::require_row<T>();
    static_assert(detail::owns_data<T>, "a string_view would point into a row that is gone: use std::string");
    if (!plain_) throw error(errc::bad_usage, "row() reads COPY's text format without options of its own: use next()");
    const std::optional<std::string_view> line = co_await next();
    if (!line) co_return std::nullopt;
    const detail::copy_row fields(*line, ++rows_, session_->settings().statement_in_errors);
    detail::check_columns<T>(fields.size(), [&fields, this](std::size_t wanted, std::string (*type)()) {
      throw error(errc::columns, "row " + std::to_string(rows_) + " has " + std::to_string(fields.size()) + " columns, and " + type() +
                                     " takes " + std::to_string(wanted) + "; name as many columns in the COPY");
    });
    co_return detail::read_row<T>(fields);
  }
  /// Ends it early: cancels on the server and discards the rest. It does not tell whether a query that writes was done.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() {
    const detail::one_call only(in_call_, "a copy_out()");
    data_.reset();
    if (!running_) co_return;
    co_await detail::cancel_and_drain(session_, *running_);
    running_.reset();
  }

 private:
  struct free_data {
    void operator()(char* data) const noexcept { PQfreemem(data); }
  };
  asio::awaitable<void> conclude() {
    detail::outcome all;
    for (;;) {
      detail::result_handle got = co_await detail::next_result(session_);
      if (!got) break;
      const bool taken = all.take(*session_, std::move(got));
      if (!taken) {
        all.refuse();
        co_await detail::refuse_copy(session_);
      }
    }
    running_->finished();
    const auto ended = std::exchange(running_, nullptr);  // holds the statement, which errors name
    if (session_->limits.stop()) {
      (void)co_await detail::conclude_stopped(session_, all);
      detail::throw_stopped(*session_, *session_->limits.stop(), {});  // it has ended by itself, but rows were dropped
    }
    (void)all.conclude(*session_);
  }

  detail::session_ptr session_;
  std::unique_ptr<detail::statement_run> running_;
  bool plain_;
  std::uint64_t rows_ = 0;  ///< read by `row()`
  bool in_call_ = false;
  std::unique_ptr<char, free_data> data_;
};

namespace detail {

/// A text that does not begin with a COPY of the wanted direction is refused before anything is sent.
inline void require_copy_text(const session& s, const request& what, ExecStatusType wanted) {
  const auto kind = copy_kind_of(what.sql());
  const bool in = wanted == PGRES_COPY_IN;
  if (kind == copy_kind::unclear || kind == (in ? copy_kind::from_client : copy_kind::to_client)) return;
  if (kind == copy_kind::from_client) refuse_request(s, what, "COPY ... FROM STDIN needs copy_in(), not copy_out(): nothing was sent");
  if (kind == copy_kind::to_client) refuse_request(s, what, "COPY ... TO STDOUT needs copy_out(), not copy_in(): nothing was sent");
  refuse_request(s, what,
                 in ? "copy_in() takes COPY ... FROM STDIN, and the text does not begin with it: nothing was sent; use exec()"
                    : "copy_out() takes COPY ... TO STDOUT, and the text does not begin with it: nothing was sent; use exec()");
}

/// Starts a COPY of the wanted direction; anything else is an error after which the connection stays usable.
template <class End>
asio::awaitable<End> open_copy(session_ptr s, request what, ExecStatusType wanted) {
  require_copy_text(*s, what, wanted);
  const char* const verb = wanted == PGRES_COPY_IN ? "copy_in()" : "copy_out()";
  if (is_held_up(*s)) co_await make_way(s, verb, what.limit);
  auto running = std::make_unique<statement_run>(*s, verb, std::move(what));
  put_request(*s, *running, running->what);
  const int unsent = PQflush(s->pg());
  if (unsent != 0) co_await flush(s);
  outcome all;
  bool first = true;
  for (;;) {
    result_handle got = co_await next_result(s);
    if (!got) break;
    if (first && PQresultStatus(got.get()) == wanted && !s->limits.stop()) {
      running->hold();
      const bool plain = copies_plain_text(running->what.sql());
      co_return End(std::move(s), std::move(running), plain);
    }
    first = false;
    const bool stopped = s->limits.stop().has_value() && is_copy(PQresultStatus(got.get()));
    const bool taken = stopped || all.take(*s, std::move(got));
    if (stopped || !taken) {
      if (!stopped) all.refuse();
      co_await refuse_copy(s);
    }
  }
  running->finished();
  if (s->limits.stop()) {
    (void)co_await conclude_stopped(s, all);
    throw_stopped(*s, *s->limits.stop(), {});
  }
  (void)all.conclude(*s);
  throw error(errc::bad_usage, "the statement is no COPY of this direction; it was run all the same");
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
