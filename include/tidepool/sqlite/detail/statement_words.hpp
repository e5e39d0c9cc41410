// SPDX-License-Identifier: BSL-1.0
// tidepool - parts of a statement in errors, without the literals in it: these may be secrets.
#ifndef TIDEPOOL_SQLITE_DETAIL_STATEMENT_WORDS_HPP
#define TIDEPOOL_SQLITE_DETAIL_STATEMENT_WORDS_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

/// "select '...'"; where `at`, a byte of the statement, is in that.
template <class = void>
inline std::string without_literals(std::string_view sql, std::size_t at, std::size_t& place) {
  std::string out;
  place = std::string::npos;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (i >= at && place == std::string::npos) place = out.size();
    out += sql[i];
    if (sql[i] != '\'') continue;
    auto end = sql.find('\'', i + 1);
    while (end != std::string_view::npos && end + 1 < sql.size() && sql[end + 1] == '\'') end = sql.find('\'', end + 2);
    out += "...'";
    if (end == std::string_view::npos) break;
    i = end;
  }
  if (place == std::string::npos) place = out.size();
  return out;
}
/// The name of a column. Without an AS it is the text of its expression.
template <class = void>
inline std::string column_words(std::string_view name, std::size_t most) {
  std::size_t place = 0;
  return tidepool::detail::printable(without_literals(name, 0, place), most);
}
/// The statement around a byte of it, in one line, with "HERE-->" before that.
template <class = void>
inline std::string excerpt_of(std::string_view sql, std::size_t at) {
  std::size_t place = 0;
  const std::string masked = without_literals(sql, at, place);
  const auto from = place > 60 ? place - 60 : 0;
  const std::string_view all(masked);
  return (from > 0 ? "..." : "") + tidepool::detail::printable(all.substr(from, place - from), 80) + "HERE-->" +
         tidepool::detail::printable(all.substr(place), 40);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
