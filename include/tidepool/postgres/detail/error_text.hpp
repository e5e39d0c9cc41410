// SPDX-License-Identifier: BSL-1.0
// tidepool - the words of an error: the server's, the place in the statement, and what the driver adds to the usual slips.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ERROR_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ERROR_TEXT_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "../../detail/util/words.hpp"
#include "../../version.hpp"
#include "diagnosis.hpp"
#include "sql_tokens.hpp"
#include "text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

// --- the place in the statement ---------------------------------------------------------------------------------------

/// How many bytes the character takes that begins there; 0: it is none of UTF-8.
template <class = void>
inline std::size_t character_size(std::string_view at) noexcept {
  const auto first = static_cast<unsigned char>(at.front());
  const std::size_t size = first < 0x80U ? 1U : first < 0xC2U ? 0U : first < 0xE0U ? 2U : first < 0xF0U ? 3U : first < 0xF5U ? 4U : 0U;
  if (size > at.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(at[i]) & 0xC0U) != 0x80U) return 0;
  }
  return size;
}
/// The byte at which the server's position is: it counts characters from 1. Empty where the text before it is no UTF-8.
template <class = void>
inline std::optional<std::size_t> byte_of(std::string_view sql, int position) noexcept {
  std::size_t at = 0;
  for (int i = 1; i < position && at < sql.size(); ++i) {
    const auto size = character_size(sql.substr(at));
    if (size == 0) return std::nullopt;
    at += size;
  }
  return at;
}

/// The statement around a position in one line, marked by "HERE-->". What stands between quotes is left out, because it may be a secret;
/// comments and blanks become one blank.
template <class = void>
inline std::string excerpt_of(std::string_view sql, int position, bool backslashes) {
  constexpr std::size_t most_before = 60, most_after = 40, enough = 200;
  const auto mark = byte_of(sql, position);
  if (position <= 0 || !mark) return {};
  std::string before, after;
  bool cut = false;
  sql_tokens at(sql, backslashes);
  for (auto kind = at.next(); kind != sql_token::end && after.size() < enough; kind = at.next()) {
    const auto text = at.text();
    std::string& out = at.begin() + text.size() > *mark ? after : before;
    if (kind == sql_token::blank || kind == sql_token::comment) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else if (kind == sql_token::literal && text != "''") {
      out += "'...'";
    } else {
      out += text.substr(0, enough);
    }
    if (before.size() > 2 * enough) {
      before.erase(0, before.size() - enough);
      cut = true;
    }
  }
  if (before.size() > most_before) {
    auto from = before.size() - most_before;
    while (from < before.size() && (static_cast<unsigned char>(before[from]) & 0xC0U) == 0x80U) ++from;
    before.erase(0, from);
    cut = true;
  }
  if (after.empty() && !before.ends_with(' ')) before += ' ';
  return (cut ? "..." : "") + printable(before, most_before + 1) + "HERE-->" + printable(after, most_after);
}

/// A statement's text for a log: in one line, and cut.
template <class = void>
inline std::string statement_text(std::string_view sql) {
  constexpr std::size_t most = 300;
  std::string out;
  sql_tokens at(sql);
  auto kind = at.next();
  for (; kind != sql_token::end && out.size() <= most; kind = at.next()) {
    if (kind == sql_token::blank) {
      if (!out.empty()) out += ' ';
    } else {
      out += at.text().substr(0, most + 1);
    }
  }
  const bool whole = kind == sql_token::end && out.size() <= most;
  out = printable(out, most);
  return whole ? out : out + " (" + std::to_string(sql.size()) + " bytes in all)";
}

// --- all of it ----------------------------------------------------------------------------------------------------------

/// The "$1" of "unnamed portal parameter $1" and of "... $1 = '...'", in every language of the server; empty for other contexts. That of a
/// function has more text.
template <class = void>
inline std::string_view bound_parameter(std::string_view context) {
  constexpr std::string_view value = " = '...'";
  if (context.ends_with(value)) context.remove_suffix(value.size());
  const auto digits = context.size() - std::min(context.size(), context.find_last_not_of("0123456789") + 1);
  if (digits == 0 || digits == context.size() || context.find('\n') != std::string_view::npos) return {};
  const auto found = context.substr(context.size() - digits - 1);
  return found.front() == '$' ? found : std::string_view();
}
/// "COPY t, line 3, column n" of a context that goes on with the value; empty for other contexts, and in other languages.
template <class = void>
inline std::string_view copied_line(std::string_view context) {
  constexpr std::string_view line = ", line ", column = ", column ";
  auto at = context.starts_with("COPY ") ? context.substr(0, context.find('\n')).find(line) : std::string_view::npos;
  if (at == std::string_view::npos) return {};
  at = std::min(context.find_first_not_of("0123456789", at + line.size()), context.size());
  if (context.substr(at).starts_with(column)) at = std::min(context.find_first_of(":\n\"", at + column.size()), context.size());
  return context.substr(0, at);
}

/// `what()` without its prefix: `words`, then what the server said, in one line.
template <class = void>
inline std::string error_text(std::string_view words, const diagnosis& said) {
  std::string out(words);
  if (!said.message.empty()) {
    if (!out.empty()) out += ": ";
    if (!said.severity.empty()) out += printable(said.severity, 16) + ' ';
    if (!said.sqlstate.empty()) out += printable(said.sqlstate, 5) + ' ';
    out += printable(said.message, 400);
  }
  const auto add = [&out](std::string_view before, std::string_view text, std::string_view after) {
    if (!text.empty()) out.append(before).append(text).append(after);
  };
  const bool named = said.message.find(said.constraint) != std::string::npos;
  add(" (constraint ", named ? std::string() : printable(said.constraint, 80), ")");
  add(" (parameter ", bound_parameter(said.context), ")");
  add(" (", printable(copied_line(said.context), 160), ")");
  if (!said.excerpt.empty()) out += ", at character " + std::to_string(said.position) + ": \"" + said.excerpt + '"';
  add("; hint: ", printable(said.hint, 240), "");
  add("; ", said.advice, "");
  add("; statement: ", said.statement, "");
  add("; called at ", tidepool::detail::place(said.called_from), "");
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
