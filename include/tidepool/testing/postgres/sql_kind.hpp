// SPDX-License-Identifier: BSL-1.0
// tidepool - what a server without a parser has to know of a statement: its kind, and where the next one begins.
#ifndef TIDEPOOL_TESTING_POSTGRES_SQL_KIND_HPP
#define TIDEPOOL_TESTING_POSTGRES_SQL_KIND_HPP

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../../postgres/detail/sql_text.hpp"
#include "../../postgres/detail/sql_tokens.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// Statements about the transaction they stand in.
enum class control { none, begin, commit, rollback, savepoint, release, rollback_to, prepare_transaction };

inline std::vector<std::string> words_of(std::string_view sql, std::size_t most) {
  std::vector<std::string> out;
  tidepool::postgres::detail::sql_scanner at(sql);
  at.skip_empty_statements();
  while (out.size() < most) {
    at.skip_blanks();
    const auto word = at.word();
    if (word.empty()) break;
    out.emplace_back(word);
    for (char& c : out.back()) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

inline control control_of(std::string_view sql) {
  const auto words = words_of(sql, 4);
  const auto word = [&](std::size_t i) { return i < words.size() ? std::string_view(words[i]) : std::string_view(); };
  const std::size_t second = word(1) == "work" || word(1) == "transaction" ? 2 : 1;
  if (word(0) == "begin" || (word(0) == "start" && word(1) == "transaction")) return control::begin;
  if (word(0) == "prepare" && word(1) == "transaction") return control::prepare_transaction;
  if (word(0) == "commit" && word(1) == "prepared") return control::none;
  if (word(0) == "rollback" && word(1) == "prepared") return control::none;
  if (word(0) == "commit" || word(0) == "end") return control::commit;
  if (word(0) == "rollback" && word(second) == "to") return control::rollback_to;
  if (word(0) == "rollback" || word(0) == "abort") return control::rollback;
  if (word(0) == "savepoint") return control::savepoint;
  if (word(0) == "release") return control::release;
  return control::none;
}

/// Whether COMMIT or ROLLBACK begins the next transaction at once.
inline bool chains(std::string_view sql) {
  const auto words = words_of(sql, 4);
  return words.size() > 2 && words[words.size() - 1] == "chain" && words[words.size() - 2] == "and";
}

/// The statements of a text, as the simple protocol runs them one after the other. Empty ones are left out.
inline std::vector<std::string> statements_of(std::string_view text) {
  std::vector<std::string> out;
  for (;;) {
    tidepool::postgres::detail::sql_scanner at(text);
    at.skip_empty_statements();
    if (at.at_end()) return out;
    const auto begin = text.size() - at.left().size();
    for (at.skip_blanks(); !at.at_end() && at.front() != ';'; at.skip_blanks()) at.skip_other();
    const auto end = text.size() - at.left().size();
    out.emplace_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

/// The usual command tag.
inline std::string tag_of(std::string_view sql, std::uint64_t rows) {
  const auto words = words_of(sql, 2);
  if (words.empty()) return "OK";
  const auto upper = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
  };
  const std::string first = words[0] == "with" || words[0] == "values" || words[0] == "table" ? "SELECT" : upper(words[0]);
  if (first == "INSERT") return "INSERT 0 " + std::to_string(rows);
  for (const char* counted : {"SELECT", "UPDATE", "DELETE", "MERGE", "COPY", "FETCH", "MOVE"}) {
    if (first == counted) return first + " " + std::to_string(rows);
  }
  if ((first == "CREATE" || first == "ALTER" || first == "DROP" || first == "TRUNCATE" || first == "REFRESH") && words.size() > 1) {
    return first + " " + upper(words[1]);
  }
  if (first == "START") return "START TRANSACTION";
  return first == "END" ? "COMMIT" : first == "ABORT" ? "ROLLBACK" : first;
}

/// How many parameters a statement takes: the highest `$n`.
inline std::size_t parameters_of(std::string_view sql) {
  return std::min<std::size_t>(tidepool::postgres::detail::highest_parameter(sql, false), 65535);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
