// SPDX-License-Identifier: BSL-1.0
// tidepool - rows one by one as they arrive, for results that do not fit into memory.
#ifndef TIDEPOOL_POSTGRES_STREAM_HPP
#define TIDEPOOL_POSTGRES_STREAM_HPP

#include <cstdint>
#include <optional>
#include <utility>

#include "../detail/util/owning_ptr.hpp"
#include "../version.hpp"
#include "detail/held.hpp"
#include "detail/request.hpp"
#include "detail/session_base.hpp"
#include "result.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail {

/// The rows of a running statement, as they arrive: made by `session_base::begin_stream()`.
class row_source {
 public:
  row_source() = default;
  row_source(const row_source&) = delete;
  row_source& operator=(const row_source&) = delete;
  virtual ~row_source() = default;

  /// What is left to do before the stream is open.
  virtual asio::awaitable<void> begin() = 0;
  /// Replaces the rows that were read. Without rows the statement has ended.
  virtual asio::awaitable<void> fetch() = 0;
  virtual asio::awaitable<void> close() = 0;

  bool begun = true;        ///< nothing is left to do
  bool open = true;         ///< rows may come
  int at = 0, end = 0;      ///< of the rows that are here
  std::uint64_t count = 0;  ///< rows returned, for errors
  result rows = {};
};

/// One row of a stream, with its number in the whole of it; has the members of `row` that `read_row` needs.
class streamed_row {
 public:
  using codecs = detail::codecs;

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
/// returned already. T: as for `all<T>()`. One that was moved from throws `bad_usage`.
template <class T>
class row_stream {
 public:
  explicit row_stream(tidepool::detail::owning_ptr<detail::row_source> from) : from_(std::move(from)) {}
  row_stream(row_stream&&) noexcept = default;
  row_stream& operator=(row_stream&&) = delete;

  /// The next row; empty after the last. Throws the statement's error, and `errc::columns`, `null_value`, `conversion`: after one of these
  /// three the stream can go on with the next row.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> next() {
    static_assert(detail::owns_data<T>, "a string_view would point into a result that is gone: use std::string");
    auto& from = *from_;
    if (from.at >= from.end && from.open) co_await from.fetch();
    if (from.at >= from.end) co_return std::nullopt;
    const detail::streamed_row row(from.rows.native(), from.at++, ++from.count);
    tidepool::detail::check_result_columns<T, detail::result_source>(from.rows.native());
    co_return tidepool::detail::read_row<T>(row);
  }

  /// Ends the statement early: cancels it on the server and discards the rows that still come, so that the connection can be used again. It
  /// does not tell whether a statement that writes was done: read to the end to know. Does nothing after the last row. When the server
  /// sends nothing for 5 s (for the time limit, where there is one), the connection is shut: `errc::server_silent`. Cannot be cancelled.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() { return from_->close(); }

 private:
  detail::held<detail::row_source> from_;
};

namespace detail {

template <class T>
asio::awaitable<row_stream<T>> open_stream(base_ptr s, request what) {
  if (s->is_held_up()) co_await s->make_way(s, "stream()", what.limit);
  auto rows = s->begin_stream(s, std::move(what));
  if (!rows->begun) co_await rows->begin();
  co_return row_stream<T>(std::move(rows));
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
