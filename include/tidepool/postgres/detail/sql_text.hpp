// SPDX-License-Identifier: BSL-1.0
// tidepool - finds keywords in a statement's text before it is sent.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SQL_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SQL_TEXT_HPP

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Steps through a statement token by token, as PostgreSQL's scanner does, as far as it takes to find keywords outside of strings,
/// quoted names, comments and parentheses.
class sql_scanner {
 public:
  explicit sql_scanner(std::string_view sql) noexcept : rest_(sql) {}

  /// Blanks, comments, and empty statements.
  void skip_blanks() noexcept {
    while (!rest_.empty()) {
      if (is_blank(rest_.front())) {
        rest_.remove_prefix(1);
      } else if (rest_.starts_with("--")) {
        rest_.remove_prefix(std::min(rest_.find_first_of("\r\n"), rest_.size()));
      } else if (rest_.starts_with("/*")) {
        skip_comment();
      } else {
        return;
      }
    }
  }
  void skip_empty_statements() noexcept {
    for (skip_blanks(); !rest_.empty() && rest_.front() == ';'; skip_blanks()) rest_.remove_prefix(1);
  }
  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end() const noexcept { return rest_.empty(); }
  std::string_view left() const noexcept { return rest_; }
  char front() const noexcept { return rest_.front(); }

  /// The word that comes next; empty when something else does.
  std::string_view word() noexcept {
    std::size_t size = 0;
    if (!rest_.empty() && begins_word(rest_.front())) {
      while (size < rest_.size() && (begins_word(rest_[size]) || is_digit(rest_[size]) || rest_[size] == '$')) ++size;
    }
    const auto found = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return found;
  }
  /// Steps into a group in parentheses, which `skip_other` would skip.
  bool enter() noexcept {
    if (rest_.empty() || rest_.front() != '(') return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Anything that is no word: a string, a quoted name, a group in parentheses, or one character.
  void skip_other() noexcept {
    std::size_t open = 0;
    do {
      skip_blanks();
      if (rest_.empty()) return;
      const char at = rest_.front();
      if (at == '\'' || at == '"') {
        skip_quoted(at);
      } else if (at == '$' && skip_dollar_quoted()) {
      } else if (begins_word(at)) {
        (void)word();
      } else {
        open += at == '(' ? 1U : 0U;
        open -= at == ')' && open > 0 ? 1U : 0U;
        rest_.remove_prefix(1);
      }
    } while (open > 0);
  }

  static bool same(std::string_view word, std::string_view lower) noexcept {
    if (word.size() != lower.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      const char c = word[i] >= 'A' && word[i] <= 'Z' ? static_cast<char>(word[i] - 'A' + 'a') : word[i];
      if (c != lower[i]) return false;
    }
    return true;
  }

 private:
  static bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
  static bool begins_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80U;
  }
  void skip_comment() noexcept {
    std::size_t depth = 0;
    do {
      if (rest_.starts_with("/*")) {
        ++depth;
        rest_.remove_prefix(2);
      } else if (rest_.starts_with("*/")) {
        --depth;
        rest_.remove_prefix(2);
      } else {
        rest_.remove_prefix(1);
      }
    } while (depth > 0 && !rest_.empty());
  }
  /// A doubled quote is read as the end of one string and the begin of the next, which has the same effect here. Whether a backslash
  /// escapes depends on a setting and on the prefix of the string: a text with one is not read any further.
  void skip_quoted(char quote) noexcept {
    const auto end = rest_.find(quote, 1);
    if (end == std::string_view::npos || (quote == '\'' && rest_.substr(0, end).find('\\') != std::string_view::npos)) {
      rest_ = {};
    } else {
      rest_.remove_prefix(end + 1);
    }
  }
  bool skip_dollar_quoted() noexcept {
    const auto tag_end = rest_.find('$', 1);
    if (tag_end == std::string_view::npos) return false;
    const auto tag = rest_.substr(0, tag_end + 1);
    for (const char c : tag.substr(1, tag.size() - 2)) {
      if (!begins_word(c) && !is_digit(c)) return false;
    }
    const auto end = rest_.find(tag, tag.size());
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + tag.size());
    return true;
  }

  std::string_view rest_;
};

/// The first word of the first statement, as it is written.
template <class = void>
inline std::string_view first_word(std::string_view sql) noexcept {
  sql_scanner at(sql);
  at.skip_empty_statements();
  return at.word();
}

/// How a statement ends the transaction it stands in. `ROLLBACK TO` a savepoint does not; `COMMIT PREPARED` is about another one, and is
/// done at once.
enum class transaction_end { none, commit, rollback };

template <class = void>
inline transaction_end transaction_end_of(std::string_view sql) noexcept {
  sql_scanner at(sql);
  at.skip_empty_statements();
  const auto first = at.word();
  const auto next = [&at] {
    at.skip_blanks();
    return at.word();
  };
  const auto is = [](std::string_view word, auto... lower) { return (sql_scanner::same(word, lower) || ...); };
  if (is(first, "commit", "end")) return transaction_end::commit;
  if (is(first, "prepare")) return is(next(), "transaction") ? transaction_end::commit : transaction_end::none;
  if (is(first, "abort")) return transaction_end::rollback;
  if (!is(first, "rollback")) return transaction_end::none;
  auto word = next();
  if (is(word, "work", "transaction")) word = next();
  return is(word, "to") ? transaction_end::none : transaction_end::rollback;
}

/// Whether a text begins with a COPY, and which; `unclear` where the text alone does not tell.
enum class copy_kind { none, from_client, to_client, server_file, unclear };

template <class = void>
inline copy_kind copy_kind_of(std::string_view sql) noexcept {
  sql_scanner at(sql);
  at.skip_empty_statements();
  if (!sql_scanner::same(at.word(), "copy")) return copy_kind::none;
  for (at.skip_blanks(); !at.at_end(); at.skip_blanks()) {
    if (at.front() == ';') return copy_kind::unclear;
    const auto word = at.word();
    if (word.empty()) {
      at.skip_other();
      continue;
    }
    const bool from = sql_scanner::same(word, "from");
    if (!from && !sql_scanner::same(word, "to")) continue;
    at.skip_blanks();
    const auto end = at.word();
    if (sql_scanner::same(end, "stdin") || sql_scanner::same(end, "stdout")) return from ? copy_kind::from_client : copy_kind::to_client;
    return copy_kind::server_file;
  }
  return copy_kind::unclear;
}

/// Whether a COPY uses the text format without options of its own: tabs between columns, \N for NULL, no header, the session's encoding.
/// Rows of another format would be read as wrong values, without an error.
template <class = void>
inline bool copies_plain_text(std::string_view sql) noexcept {
  sql_scanner at(sql);
  std::string_view before, word;
  const auto next = [&] {
    at.skip_blanks();
    if (at.at_end()) return false;
    before = word;
    word = at.word();
    return true;
  };
  const auto is = [](std::string_view given, auto... lower) { return (sql_scanner::same(given, lower) || ...); };
  while (next() && !(is(word, "stdin", "stdout") && is(before, "from", "to"))) {
    if (word.empty()) at.skip_other();
  }
  bool format = false;
  while (next() && !is(word, "where")) {
    if (is(word, "csv", "binary", "delimiter", "delimiters", "null", "header", "default", "encoding")) return false;
    if (format && !is(word, "text")) return false;
    format = is(word, "format");
    if (word.empty() && !at.enter()) at.skip_other();
  }
  return true;
}

/// A fast check of the first character: false for nearly every statement that is no COPY.
template <class = void>
inline bool may_be_copy(std::string_view sql) noexcept {
  if (sql.empty()) return false;
  const char first = sql.front();
  // A blank, a comment or an empty statement may come before it.
  return first == 'c' || first == 'C' || first <= ' ' || first == '-' || first == '/' || first == ';';
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
