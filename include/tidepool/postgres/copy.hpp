// SPDX-License-Identifier: BSL-1.0
// tidepool - COPY: bulk data in and out, in text format.
#ifndef TIDEPOOL_POSTGRES_COPY_HPP
#define TIDEPOOL_POSTGRES_COPY_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../detail/util/lazy.hpp"
#include "../detail/util/owning_ptr.hpp"
#include "../version.hpp"
#include "detail/copy_text.hpp"
#include "detail/held.hpp"
#include "detail/row_type.hpp"
#include "detail/session_base.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// The other side of a `copy_writer`: made by `session_base::copy_in()`.
class copy_sink {
 public:
  explicit copy_sink(bool plain_text) : plain(plain_text) {}
  copy_sink(const copy_sink&) = delete;
  copy_sink& operator=(const copy_sink&) = delete;
  virtual ~copy_sink() = default;

  /// Throws while another call uses the COPY: what is being sent must not be appended to.
  virtual void refuse_beside_another() = 0;
  /// Sends what is gathered where that is a block.
  virtual asio::awaitable<void> send_block() = 0;
  virtual asio::awaitable<std::uint64_t> finish() = 0;
  virtual asio::awaitable<void> abort() = 0;

  const bool plain;  ///< the text format without options of its own
  std::string buffer = {};
};

/// The other side of a `copy_reader`: made by `session_base::copy_out()`.
class copy_source {
 public:
  copy_source(bool plain_text, bool tells_values) : plain(plain_text), values_in_errors(tells_values) {}
  copy_source(const copy_source&) = delete;
  copy_source& operator=(const copy_source&) = delete;
  virtual ~copy_source() = default;

  virtual asio::awaitable<std::optional<std::string_view>> next() = 0;
  virtual asio::awaitable<void> close() = 0;

  const bool plain;
  const bool values_in_errors;
  std::uint64_t rows = 0;  ///< read by `row()`
};

TIDEPOOL_LAZY [[noreturn, gnu::cold]] void refuse_copy_format(bool writes);
TIDEPOOL_LAZY [[noreturn, gnu::cold]] void throw_copy_columns(std::uint64_t row, std::size_t found, std::size_t wanted,
                                                              std::string (*type)());

}  // namespace detail

/// Writes a `COPY ... FROM STDIN`:
///
///     auto out = co_await c.copy_in("copy t (id, name) from stdin");
///     for (const auto& x : many) co_await out.row(x.id, x.name);
///     const auto rows = co_await out.finish();
/// Gathers 64 KiB, then sends them as fast as the server takes them, and lets other coroutines of the event loop run. When the server
/// refuses the COPY meanwhile (a malformed row, a violated constraint, a server that stops), `row()` and `write()` throw its error, within
/// 64 KiB after it has arrived; the COPY has then ended, no row was taken, and the connection is ready for the next statement. Where the
/// error cannot be seen early (GSS encryption), `finish()` throws it. The connection serves nothing else until `finish()` or `abort()`; a
/// writer that is destroyed before leaves a connection that cannot be used any more, and no row in the table. One that was moved from
/// throws `bad_usage`.
class copy_writer {
 public:
  explicit copy_writer(tidepool::detail::owning_ptr<detail::copy_sink> to) : to_(std::move(to)) {}
  copy_writer(copy_writer&&) noexcept = default;
  copy_writer& operator=(copy_writer&&) = delete;

  /// One row in text format; NULL, tabs, line ends and bytes are encoded. `bad_usage` where the statement asks for CSV, binary, or options
  /// that change the text format.
  template <class... Columns>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> row(const Columns&... columns) {
    (void)(detail::require_encoder<Columns>() && ...);
    if (!to_->plain) detail::refuse_copy_format(true);
    to_->refuse_beside_another();
    const auto before = to_->buffer.size();
    try {
      detail::append_copy_row(to_->buffer, columns...);
    } catch (...) {
      to_->buffer.resize(before);
      throw;
    }
    return to_->send_block();
  }
  /// Sends data as it is, in the format that the statement names; pieces need not end at the end of a row.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> write(std::string_view data) {
    to_->refuse_beside_another();
    to_->buffer.append(data);
    return to_->send_block();
  }
  /// Ends the data; returns how many rows the server took. Throws its error, for example for a malformed or duplicate row:
  /// then none was taken, and the connection is ready for the next statement.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::uint64_t> finish() { return to_->finish(); }
  /// Ends the COPY without its data: no row is taken, and the connection is ready for the next statement.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> abort() { return to_->abort(); }

 private:
  detail::held<detail::copy_sink> to_;
};

/// Reads a `COPY ... TO STDOUT`. The server is read no faster than rows are taken. As with a stream, the connection serves
/// nothing else until the last row was read or `close()` was awaited. One that was moved from throws `bad_usage`.
class copy_reader {
 public:
  explicit copy_reader(tidepool::detail::owning_ptr<detail::copy_source> from) : from_(std::move(from)) {}
  copy_reader(copy_reader&&) noexcept = default;
  copy_reader& operator=(copy_reader&&) = delete;

  /// The next piece as the server sent it: in text format one row with its line end. Valid until the next call; empty after
  /// the last.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<std::string_view>> next() { return from_->next(); }
  /// The next row of a text format COPY as T: as for `all<T>()`. `bad_usage` where the statement asks for CSV, binary, or options that
  /// change the text format.
  template <class T>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> row() {
    (void)tidepool::detail::require_row<T, detail::codecs>();
    static_assert(detail::owns_data<T>, "a string_view would point into a row that is gone: use std::string");
    if (!from_->plain) detail::refuse_copy_format(false);
    const std::optional<std::string_view> line = co_await from_->next();
    if (!line) co_return std::nullopt;
    const detail::copy_row fields(*line, ++from_->rows, from_->values_in_errors);
    tidepool::detail::check_columns<T, detail::codecs>(fields.size(), [&fields, this](std::size_t wanted, std::string (*type)()) {
      detail::throw_copy_columns(from_->rows, fields.size(), wanted, type);
    });
    co_return tidepool::detail::read_row<T>(fields);
  }
  /// Ends it early: cancels on the server and discards the rest. It does not tell whether a query that writes was done.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() { return from_->close(); }

 private:
  detail::held<detail::copy_source> from_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/copy.ipp"
#endif

#endif
