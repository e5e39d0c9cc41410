// SPDX-License-Identifier: BSL-1.0
// tidepool - rows in chunks, for results that do not fit into memory.
#ifndef TIDEPOOL_SQLITE_STREAM_HPP
#define TIDEPOOL_SQLITE_STREAM_HPP

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "../detail/util/asio.hpp"
#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "detail/request.hpp"
#include "detail/session_base.hpp"
#include "result.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

namespace detail {

/// `bad_usage`.
TIDEPOOL_LAZY [[noreturn]] void refuse_moved_from();

/// The rows of a running statement: made by `session_base::begin_stream()`.
class row_source {
 public:
  row_source() = default;
  row_source(const row_source&) = delete;
  row_source& operator=(const row_source&) = delete;
  virtual ~row_source() = default;

  /// Replaces the rows that were read. Without rows the statement has ended.
  virtual asio::awaitable<void> fetch() = 0;
  virtual asio::awaitable<void> close() = 0;

  bool open = true;    ///< rows may come
  std::size_t at = 0;  ///< of the rows that are here
  std::unique_ptr<kept_rows> rows{};
};

}  // namespace detail

/// Rows of one statement, read while SQLite finds them, some hundred with each change to a thread:
///
///     auto rows = co_await c.stream<int, std::string>("select id, name from big");
///     for (auto row = co_await rows.next(); row; row = co_await rows.next()) use(*row);
/// The connection serves nothing else until the last row was read or `close()` was awaited. A stream that is destroyed before leaves a
/// connection that needs a `reset()`, which a pool does. As long as it is open it keeps a read transaction, so that the WAL file cannot be
/// truncated. An error may come after rows that were returned already. T: as for `all<T>()`. One that was moved from throws `bad_usage`.
template <class T>
class row_stream {
 public:
  explicit row_stream(std::unique_ptr<detail::row_source> from) : from_(std::move(from)) {}
  row_stream(row_stream&&) noexcept = default;
  row_stream& operator=(row_stream&&) = delete;

  /// The next row; empty after the last. Throws the statement's error, and `errc::columns`, `null_value`, `conversion`: after one of these
  /// three the stream can go on with the next row.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> next() {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    auto& from = source();
    if ((!from.rows || from.at >= from.rows->count) && from.open) co_await from.fetch();
    if (!from.rows || from.at >= from.rows->count) co_return std::nullopt;
    const row next(from.rows.get(), from.at++);
    tidepool::detail::check_result_columns<T, detail::result_source>(from.rows.get());
    co_return tidepool::detail::read_row<T>(next);
  }

  /// Ends the statement early, so that the connection can be used again. Does nothing after the last row.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() { return source().close(); }

 private:
  detail::row_source& source() const {
    if (!from_) [[unlikely]]
      detail::refuse_moved_from();
    return *from_;
  }

  std::unique_ptr<detail::row_source> from_;
};

namespace detail {

/// Its first rows are fetched at once, so that a wrong statement fails here.
template <class T>
asio::awaitable<row_stream<T>> open_stream(base_ptr s, request what) {
  auto rows = s->begin_stream(s, std::move(what));
  co_await rows->fetch();
  co_return row_stream<T>(std::move(rows));
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/stream.ipp"
#endif

#endif
