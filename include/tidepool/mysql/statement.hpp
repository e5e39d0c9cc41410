// SPDX-License-Identifier: BSL-1.0
// tidepool - prepared statements.
#ifndef TIDEPOOL_MYSQL_STATEMENT_HPP
#define TIDEPOOL_MYSQL_STATEMENT_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../query_text.hpp"
#include "../source_location.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// A statement that was prepared, so its text is right. It belongs to no connection: `exec(statement, args...)` takes it from
/// the cache of the connection it runs on (`options::statement_cache`), or prepares it there.
class statement {
 public:
  statement(std::string text, std::size_t parameters, std::vector<std::string> columns)
      : text_(std::move(text)), parameters_(parameters), columns_(std::move(columns)) {}
  std::string_view text() const noexcept { return text_; }
  /// How many parameters it takes.
  std::size_t parameters() const noexcept { return parameters_; }
  /// The names of the columns it returns; empty for one that returns no rows.
  const std::vector<std::string>& columns() const noexcept { return columns_; }

 private:
  std::string text_;
  std::size_t parameters_;
  std::vector<std::string> columns_;
};

/// A prepared statement as an argument of `exec()` and its like: notes the place of the call, as `query_text` does.
class statement_use {
 public:
  statement_use(const statement& of, source_location from = source_location::current()) : text_(of.text(), from) {}
  /// Its text, with that place.
  const query_text& text() const noexcept { return text_; }

 private:
  query_text text_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
