// SPDX-License-Identifier: BSL-1.0
// tidepool - cuts a statement into tokens, for error messages: which parts may be quoted, and which parameters it has.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SQL_TOKENS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SQL_TOKENS_HPP

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

enum class sql_token { end, blank, comment, literal, name, word, parameter, other };

/// As PostgreSQL's scanner sees a text. A literal without an end reaches to the end of the text, so that none is taken for something else.
template <class = void>
class basic_sql_tokens {
 public:
  /// `backslashes`: they escape in every literal (`standard_conforming_strings` is off), not only in E'...'.
  explicit basic_sql_tokens(std::string_view sql, bool backslashes = false) noexcept : sql_(sql), backslashes_(backslashes) {}

  /// The kind of the next token; `text()` and `begin()` are then its text and place.
  sql_token next() noexcept {
    begin_ = end_;
    if (begin_ == sql_.size()) return sql_token::end;
    const auto rest = sql_.substr(begin_);
    const char first = rest.front();
    if (is_blank(first)) return take(sql_token::blank, rest.find_first_not_of(" \t\n\v\f\r"));
    if (rest.starts_with("--")) return take(sql_token::comment, rest.find_first_of("\r\n"));
    if (rest.starts_with("/*")) return take(sql_token::comment, end_of_comment(rest));
    if (first == '\'') return take(sql_token::literal, end_of_quoted(rest, 0, backslashes_));
    if (first == '"') return take(sql_token::name, end_of_quoted(rest, 0, false));
    if (first == '$') return dollar(rest);
    if (!begins_word(first)) return take(sql_token::other, 1);
    std::size_t size = 1;
    while (size < rest.size() && in_word(rest[size])) ++size;
    // E'...', and B'...', X'...', N'...' and U&'...', where a backslash means nothing.
    if (size == 1 && rest.size() > 1 && rest[1] == '\'') {
      return take(sql_token::literal, end_of_quoted(rest, 1, first == 'e' || first == 'E' || backslashes_));
    }
    return take(sql_token::word, size);
  }
  std::string_view text() const noexcept { return sql_.substr(begin_, end_ - begin_); }
  std::size_t begin() const noexcept { return begin_; }

 private:
  static bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
  static bool begins_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80U;
  }
  static bool in_word(char c) noexcept { return begins_word(c) || is_digit(c) || c == '$'; }

  sql_token take(sql_token kind, std::size_t size) noexcept {
    end_ = begin_ + std::min(size, sql_.size() - begin_);
    return kind;
  }
  static std::size_t end_of_comment(std::string_view rest) noexcept {
    std::size_t depth = 0;
    for (std::size_t i = 0; i + 1 < rest.size();) {
      const auto two = rest.substr(i, 2);
      const bool open = two == "/*";
      const bool close = two == "*/";
      depth += open ? 1U : 0U;
      depth -= close ? 1U : 0U;
      i += open || close ? 2U : 1U;
      if (depth == 0) return i;
    }
    return rest.size();
  }
  /// A doubled quote is the end of one literal and the begin of another one, which is the same here.
  static std::size_t end_of_quoted(std::string_view rest, std::size_t open, bool escapes) noexcept {
    for (std::size_t i = open + 1; i < rest.size(); ++i) {
      if (escapes && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == rest[open]) {
        if (i + 1 == rest.size() || rest[i + 1] != rest[open]) return i + 1;
        ++i;
      }
    }
    return rest.size();
  }
  sql_token dollar(std::string_view rest) noexcept {
    std::size_t size = 1;
    if (rest.size() > 1 && is_digit(rest[1])) {
      while (size < rest.size() && is_digit(rest[size])) ++size;
      return take(sql_token::parameter, size);
    }
    while (size < rest.size() && rest[size] != '$' && in_word(rest[size])) ++size;
    if (size == rest.size() || rest[size] != '$') return take(sql_token::other, 1);
    const auto tag = rest.substr(0, size + 1);
    const auto end = rest.find(tag, tag.size());
    return take(sql_token::literal, end == std::string_view::npos ? rest.size() : end + tag.size());
  }

  std::string_view sql_;
  bool backslashes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};
using sql_tokens = basic_sql_tokens<>;

/// The largest n of the `$n` in a text; 0: it has no parameter.
template <class = void>
inline std::size_t highest_parameter(std::string_view sql, bool backslashes) noexcept {
  std::size_t highest = 0;
  sql_tokens at(sql, backslashes);
  for (auto kind = at.next(); kind != sql_token::end; kind = at.next()) {
    if (kind != sql_token::parameter) continue;
    std::size_t number = 0;
    for (const char digit : at.text().substr(1, 6)) number = number * 10 + static_cast<std::size_t>(digit - '0');
    highest = std::max(highest, number);
  }
  return highest;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
