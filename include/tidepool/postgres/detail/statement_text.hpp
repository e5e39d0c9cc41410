// SPDX-License-Identifier: BSL-1.0
// tidepool - what the statement cache finds out from a statement's text. It is not parsed: where it is unclear, the careful answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_STATEMENT_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_STATEMENT_TEXT_HPP

#include <cstddef>
#include <string_view>

#include "../../version.hpp"
#include "sql_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Whether the server makes a plan for it: preparing it saves that. Other statements are not prepared: it would gain nothing, and
/// transaction control has to work in a failed transaction too.
template <class = void>
inline bool has_plan(std::string_view sql) noexcept {
  sql_scanner at(sql);
  do at.skip_blanks();
  while (at.take('('));
  const auto word = at.word();
  for (const std::string_view verb : {"select", "insert", "update", "delete", "with", "merge", "values", "table"}) {
    if (sql_scanner::same(word, verb)) return true;
  }
  return false;
}

/// Where `word`, given in lower case, begins at or after `from`; not only as a whole word.
template <class = void>
inline std::size_t find_text(std::string_view text, std::string_view word, std::size_t from = 0) noexcept {
  for (; from + word.size() <= text.size(); ++from) {
    if (sql_scanner::same(text.substr(from, word.size()), word)) return from;
  }
  return std::string_view::npos;
}

/// Whether a literal in it may mean the time when it is parsed: `'now'`, `date 'today'`. A prepared statement would return the time when it
/// was prepared, for ever. The function `now()` has no such effect.
template <class = void>
inline bool names_a_moment(std::string_view sql) noexcept {
  const auto in_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80U;
  };
  for (const std::string_view word : {"now", "today", "tomorrow", "yesterday"}) {
    for (auto at = find_text(sql, word); at != std::string_view::npos; at = find_text(sql, word, at + 1)) {
      const auto rest = sql.substr(at + word.size());
      if ((at > 0 && in_word(sql[at - 1])) || (!rest.empty() && in_word(rest.front()))) continue;
      sql_scanner behind(rest);
      behind.skip_blanks();
      if (!behind.take('(')) return true;
    }
  }
  return false;
}

/// What command tags ("SET", "DISCARD ALL", "ALTER TABLE") mean for statements that were prepared before.
struct command_tags {
  bool forgotten = false;  ///< the server has none of them any more
  bool set = false;        ///< a setting was changed
  bool defined = false;    ///< an object was created or changed whose name they may have looked up; the server does not see that

  bool any() const noexcept { return forgotten || set || defined; }
  [[gnu::noinline]] void take(std::string_view tag) noexcept {
    if (tag.empty()) return;
    switch (tag.front()) {
      case 'A': defined = defined || tag.starts_with("ALTER"); break;
      case 'C': defined = defined || (tag.starts_with("CREATE") && tag != "CREATE INDEX"); break;
      case 'D': {
        const bool block = tag == "DO";
        forgotten = forgotten || tag == "DISCARD ALL" || tag == "DEALLOCATE ALL";
        set = set || block || tag == "DISCARD ALL";
        // For tables and the like the server plans them again by itself.
        const bool relation = tag == "DROP TABLE" || tag == "DROP INDEX" || tag == "DROP VIEW" || tag == "DROP SEQUENCE";
        defined = defined || block || (tag.starts_with("DROP") && !relation);
        break;
      }
      case 'R': set = set || tag == "RESET"; break;
      case 'S': set = set || tag == "SET"; break;
      default: break;
    }
  }
};

/// CREATE TABLE AS has the tag of its SELECT.
template <class = void>
inline bool creates(std::string_view sql) noexcept {
  if (sql.empty() || (sql.front() > '/' && sql.front() != 'c' && sql.front() != 'C')) return false;
  return sql_scanner::same(first_word(sql), "create");
}

/// Whether a SET in this text may change how a statement is planned; the server would keep a plan that was made before.
template <class = void>
inline bool may_change_plans(std::string_view sql) noexcept {
  if (sql.empty()) return true;
  for (const std::string_view part :
       {"enable_", "cost", "collapse", "geqo", "parallel", "mem", "jit", "plan_cache", "effective_", "constraint_exclusion"}) {
    if (find_text(sql, part) != std::string_view::npos) return true;
  }
  return false;
}

/// Whether a SET or RESET in this text may change what a statement means to the server's parser: where names are looked up, how literals
/// are read. An empty text is one that is not known: true. Where the server reports `search_path`, changes of that one are seen anyway.
template <class = void>
inline bool may_change_meaning(std::string_view sql, bool path_reported) noexcept {
  if (sql.empty()) return true;
  for (const std::string_view part : {"path", "schema", "role", "authorization", "all", "style", "zone", "abbreviations", "strings",
                                      "quote", "null", "xml", "encoding", "names", "lc_", "u&"}) {
    if (path_reported && (part == "path" || part == "schema")) continue;
    if (find_text(sql, part) != std::string_view::npos) return true;
  }
  return false;
}

/// The same for calls of `set_config()`. Where the name of the setting is not a literal it can be any: true.
template <class = void>
inline bool may_set_meaning(std::string_view sql, bool path_reported) noexcept {
  constexpr std::string_view word = "set_config";
  bool called = false;
  for (auto at = find_text(sql, word); at != std::string_view::npos; at = find_text(sql, word, at + 1)) {
    called = true;
    sql_scanner behind(sql.substr(at + word.size()));
    behind.skip_blanks();
    const bool opens = behind.take('(');
    behind.skip_blanks();
    if (!opens || !behind.take('\'')) return true;
  }
  return called && may_change_meaning(sql, path_reported);
}

/// A single `SET LOCAL`: undone at the end of the transaction.
template <class = void>
inline bool is_set_local(std::string_view sql) noexcept {
  sql_scanner at(sql);
  at.skip_blanks();
  if (!sql_scanner::same(at.word(), "set")) return false;
  at.skip_blanks();
  return sql_scanner::same(at.word(), "local") && sql.find(';') == std::string_view::npos;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
