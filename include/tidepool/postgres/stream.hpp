// SPDX-License-Identifier: BSL-1.0
// tidepool - rows one by one as they arrive, for results that do not fit into memory.
#ifndef TIDEPOOL_POSTGRES_STREAM_HPP
#define TIDEPOOL_POSTGRES_STREAM_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "../version.hpp"
#include "cancel.hpp"
#include "detail/drain.hpp"
#include "detail/perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail {

/// One row of a stream, with its number in the whole of it; has the members of `row` that `read_row` needs.
class streamed_row {
 public:
  class field {
   public:
    field(const PGresult* from, int row, int column, std::uint64_t number) : from_(from), row_(row), column_(column), number_(number) {}
    template <class T>
    T as() const {
      return read_field<T>(from_, row_, column_, number_);
    }

   private:
    const PGresult* from_;
    int row_;
    int column_;
    std::uint64_t number_;
  };

  streamed_row(const PGresult* from, int index, std::uint64_t number) : from_(from), index_(index), number_(number) {}
  field operator[](std::size_t column) const { return {from_, index_, static_cast<int>(column), number_}; }

 private:
  const PGresult* from_;
  int index_;
  std::uint64_t number_;
};

}  // namespace detail

/// Rows of one statement, read while the server sends them:
///
///     auto rows = co_await c.stream<int, std::string>("select id, name from big");
///     for (auto row = co_await rows.next(); row; row = co_await rows.next()) use(*row);
/// The connection serves nothing else until the last row was read or `close()` was awaited; a stream that is destroyed before leaves a
/// connection that cannot be used any more. Data is received only as fast as the rows are taken. An error may come after rows that were
/// returned already. T: as for `all<T>()`.
template <class T>
class row_stream {
 public:
  row_stream(detail::session_ptr s, std::unique_ptr<detail::statement_run> running)
      : session_(std::move(s)), running_(std::move(running)) {}
  row_stream(row_stream&&) noexcept = default;
  row_stream& operator=(row_stream&&) = delete;

  /// The next row; empty after the last. Throws the statement's error, and `errc::columns`, `null_value`, `conversion`: after one of these
  /// three the stream can go on with the next row.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> next() {
    static_assert(detail::owns_data<T>, "a string_view would point into a result that is gone: use std::string");
    if (at_ >= rows_.size() && running_) co_await fetch();
    if (at_ >= rows_.size()) co_return std::nullopt;
    const detail::streamed_row row(rows_.native(), static_cast<int>(at_++), ++count_);
    detail::check_result_columns<T>(rows_.native());
    co_return detail::read_row<T>(row);
  }

  /// Ends the statement early: cancels it on the server and discards the rows that still come, so that the connection can be used again. It
  /// does not tell whether a statement that writes was done: read to the end to know. Does nothing after the last row. When the server
  /// sends nothing for 5 s (for the time limit, where there is one), the connection is shut: `errc::server_silent`. Cannot be cancelled.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() {
    const detail::one_call only(in_call_, "a stream()");
    rows_ = result();
    at_ = 0;
    if (!running_) co_return;
    co_await detail::cancel_and_drain(session_, *running_);
    running_.reset();
  }

 private:
  asio::awaitable<void> fetch() {
    const detail::one_call only(in_call_, "a stream()");
    rows_ = result();
    at_ = 0;
    for (;;) {
      detail::result_handle got = co_await detail::next_result(session_);
      if (!got) break;
      const auto status = PQresultStatus(got.get());
#ifdef LIBPQ_HAS_CHUNK_MODE
      const bool rows = status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_CHUNK;
#else
      const bool rows = status == PGRES_SINGLE_TUPLE;
#endif
      if (rows) session_->note_size(got.get());
      if (rows && session_->limits.stop()) continue;  // being stopped: rows are dropped
      if (rows) {
        if (session_->settings().statement_in_errors) detail::note_origin(*session_, got.get());
        rows_ = result(std::move(got));
        co_return;
      }
      const bool taken = all_.take(*session_, std::move(got));
      if (!taken) {
        all_.refuse();
        co_await detail::refuse_copy(session_);
      }
    }
    running_->finished();
    const auto ended = std::exchange(running_, nullptr);  // holds the statement, which errors name
    if (session_->limits.stop()) {
      (void)co_await detail::conclude_stopped(session_, all_);
      detail::throw_stopped(*session_, *session_->limits.stop(), {});  // it has ended by itself, but rows were dropped
    }
    (void)all_.conclude(*session_);
  }

  detail::session_ptr session_;
  std::unique_ptr<detail::statement_run> running_;  // set while rows may come
  detail::outcome all_;
  result rows_;
  std::size_t at_ = 0;
  std::uint64_t count_ = 0;  // rows returned, for errors
  bool in_call_ = false;
};

namespace detail {

/// How many rows libpq returns at once, where it can (libpq 17): as fast as a whole result, without its memory.
inline constexpr int stream_chunk = 128;

template <class T>
asio::awaitable<row_stream<T>> open_stream(session_ptr s, request what) {
  refuse_copy_text(*s, what);
  if (is_held_up(*s)) co_await make_way(s, "stream()", what.limit);
  auto running = std::make_unique<statement_run>(*s, "stream()", std::move(what));
  put_request(*s, *running, running->what);
#ifdef LIBPQ_HAS_CHUNK_MODE
  const bool set = PQsetChunkedRowsMode(s->pg(), stream_chunk) == 1;
#else
  const bool set = PQsetSingleRowMode(s->pg()) == 1;
#endif
  if (!set) throw s->lost("while starting a stream");
  const int unsent = PQflush(s->pg());
  if (unsent != 0) co_await flush(s);
  if (s->limits.stop()) {
    co_await drain_stopped(s, *running);
    throw_stopped(*s, *s->limits.stop(), {});
  }
  running->hold();
  co_return row_stream<T>(std::move(s), std::move(running));
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
