// SPDX-License-Identifier: BSL-1.0
// tidepool - the rows of one result set, copied out of the client library, and the errors of reading them.
#ifndef TIDEPOOL_MYSQL_DETAIL_KEPT_ROWS_HPP
#define TIDEPOOL_MYSQL_DETAIL_KEPT_ROWS_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../../detail/util/lazy.hpp"
#include "../../source_location.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Row by row; the bytes of texts are in one string.
struct kept_rows {
  std::vector<std::string> names{};
  std::vector<kept_value> values{};
  std::string bytes{};
  std::size_t count = 0;                    ///< of rows
  std::uint64_t before = 0;                 ///< rows of the same stream that were returned before these, for errors
  bool no_rows = false;                     ///< the statement has no columns at all: an INSERT, say
  std::uint64_t affected = 0;               ///< rows inserted, updated or deleted
  std::uint64_t last_id = 0;                ///< `LAST_INSERT_ID()`
  unsigned warnings = 0;                    ///< how many
  std::string statement{};                  ///< only with `options::statement_in_errors`
  source_location called_from{};            ///< the same
  std::unique_ptr<const kept_rows> next{};  ///< the statement's next result set

  std::size_t columns() const noexcept { return names.size(); }
  value at(std::size_t row, std::size_t column) const noexcept { return values[row * names.size() + column].in(bytes); }
};

/// `type` returns the name of the C++ type.
TIDEPOOL_LAZY [[noreturn]] void throw_null(const kept_rows* of, std::size_t row, std::size_t column, std::string (*type)());
TIDEPOOL_LAZY [[noreturn]] void throw_unreadable(const kept_rows* of, std::size_t row, std::size_t column, std::string (*type)(),
                                                 const error& why);
TIDEPOOL_LAZY [[noreturn]] void throw_columns(const kept_rows* of, std::size_t wanted, std::string (*type)());
TIDEPOOL_LAZY [[noreturn]] void throw_rows(const kept_rows* of, std::size_t rows, bool none_allowed);
TIDEPOOL_LAZY [[noreturn]] void throw_no_column(const kept_rows* of, std::size_t index);
TIDEPOOL_LAZY [[noreturn]] void throw_no_column(const kept_rows* of, std::string_view name);
TIDEPOOL_LAZY [[noreturn]] void throw_no_row(std::size_t index, std::size_t size);
TIDEPOOL_LAZY [[noreturn]] void throw_no_set(std::size_t index, std::size_t size);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#if TIDEPOOL_HEADER_ONLY
#include "../impl/kept_rows.ipp"
#endif

#endif
