// SPDX-License-Identifier: BSL-1.0
// tidepool - statements that have no place in a session that many callers share, found by their first words.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_REFUSED_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_REFUSED_TEXT_HPP

#include <string_view>

#include "../../../version.hpp"
#include "../sql_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// Why a statement is refused, in words that follow "the statement ..."; empty: it is not. Comments are skipped. What a function does that
/// the statement calls is not seen.
inline std::string_view why_refused(std::string_view sql) noexcept {
  sql_scanner at(sql);
  const auto next = [&at] {
    at.skip_blanks();
    return at.word();
  };
  const auto is = [](std::string_view word, auto... lower) { return (sql_scanner::same(word, lower) || ...); };
  do at.skip_empty_statements();
  while (at.enter());
  auto first = at.word();
  // EXPLAIN ANALYZE does what it explains.
  while (is(first, "explain", "analyze", "analyse", "verbose")) {
    first = next();
    if (!first.empty()) continue;
    sql_scanner group = at;
    if (!group.enter()) return {};
    group.skip_blanks();
    first = group.word();
    if (is(first, "select", "with", "table", "values")) {
      at = group;
    } else {
      at.skip_other();
      first = next();
    }
  }
  if (first.empty()) return at.at_end() ? std::string_view("is empty") : std::string_view();
  if (is(first, "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release")) {
    return "controls a transaction, and this session is shared: use transaction() of a connection of the pool";
  }
  if (is(first, "prepare", "execute", "deallocate")) {
    return "is about a prepared statement of the session, which is shared: give the statement itself, it is prepared anyway";
  }
  if (is(first, "declare", "fetch", "move", "close"))
    return "is about a cursor of the session, which is shared: use a connection of the pool";
  if (is(first, "set", "reset", "discard", "load")) {
    return "changes the session, which is shared: use a connection of the pool, or set it for the role, the database or the function";
  }
  if (is(first, "listen", "unlisten")) return "subscribes the session, which is shared: use postgres::listener";
  if (is(first, "lock")) return "locks until the end of a transaction, and here each statement is one: use transaction() of a connection";
  if (is(first, "copy")) return "is a COPY, which a pipeline cannot carry: use copy_in() or copy_out() of a connection of the pool";
  if (is(first, "create")) {
    auto word = next();
    if (is(word, "or")) (void)next(), word = next();
    if (is(word, "local", "global")) word = next();
    if (is(word, "temp", "temporary")) return "makes something temporary of the session, which is shared: use a connection of the pool";
  }
  if (is(first, "select", "with", "table", "values")) {
    // SELECT ... INTO TEMP t
    std::string_view before;
    for (at.skip_blanks(); !at.at_end(); at.skip_blanks()) {
      const auto word = at.word();
      if (word.empty()) {
        at.skip_other();
        before = {};
        continue;
      }
      if (is(before, "into") && is(word, "temp", "temporary", "local", "global")) {
        return "makes a temporary table of the session, which is shared: use a connection of the pool";
      }
      before = word;
    }
  }
  return {};
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
