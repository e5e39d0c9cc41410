// SPDX-License-Identifier: BSL-1.0
// tidepool - the statement that runs on a connection, for the program's tracing; made only where `options::tracing` is set.
#ifndef TIDEPOOL_DETAIL_DRIVER_STATEMENT_TRACE_HPP
#define TIDEPOOL_DETAIL_DRIVER_STATEMENT_TRACE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "../../bounded_string.hpp"
#include "../../source_location.hpp"
#include "../../tracing.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// The word a statement begins with, in capitals and static text; "OTHER" for those that are no command of SQL's, so that there are few,
/// and none is a value. Comments before it are skipped.
template <class = void>
std::string_view tag_of(std::string_view sql) noexcept {
  constexpr std::string_view commands[] = {
      "ALTER",    "ANALYZE",    "ATTACH",  "BEGIN",    "CALL",      "CHECKPOINT", "CLOSE",    "CLUSTER", "COMMENT", "COMMIT",  "COPY",
      "CREATE",   "DEALLOCATE", "DECLARE", "DELETE",   "DESCRIBE",  "DETACH",     "DISCARD",  "DO",      "DROP",    "END",     "EXECUTE",
      "EXPLAIN",  "FETCH",      "FLUSH",   "GRANT",    "HANDLER",   "IMPORT",     "INSERT",   "KILL",    "LISTEN",  "LOAD",    "LOCK",
      "MERGE",    "MOVE",       "NOTIFY",  "OPTIMIZE", "PRAGMA",    "PREPARE",    "REASSIGN", "REFRESH", "REINDEX", "RELEASE", "RENAME",
      "REPLACE",  "RESET",      "REVOKE",  "ROLLBACK", "SAVEPOINT", "SELECT",     "SET",      "SHOW",    "START",   "TABLE",   "TRUNCATE",
      "UNLISTEN", "UNLOCK",     "UPDATE",  "USE",      "VACUUM",    "VALUES",     "WITH",     "XA"};
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '(' || c == ';'; };
  for (;;) {
    while (!sql.empty() && is_space(sql.front())) sql.remove_prefix(1);
    const bool line = sql.substr(0, 2) == "--";
    if (!line && sql.substr(0, 2) != "/*") break;
    const std::size_t end = sql.find(line ? "\n" : "*/", 2);
    if (end == sql.npos) return "OTHER";
    sql.remove_prefix(end + (line ? 1 : 2));
  }
  if (sql.empty()) return "PING";
  const auto letter = [](char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c); };
  std::size_t length = 0;
  while (length < sql.size() && letter(sql[length]) >= 'A' && letter(sql[length]) <= 'Z') ++length;
  for (const std::string_view one : commands) {
    bool same = one.size() == length;
    for (std::size_t i = 0; same && i < length; ++i) same = letter(sql[i]) == one[i];
    if (same) return one;
  }
  return "OTHER";
}

/// Of one connection, which runs one at a time.
template <class = void>
class basic_statement_trace {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit basic_statement_trace(std::shared_ptr<tracing> to) noexcept : to_(std::move(to)) {}
  basic_statement_trace(const basic_statement_trace&) = delete;
  basic_statement_trace& operator=(const basic_statement_trace&) = delete;
  ~basic_statement_trace() { end({}, false); }

  void within(const trace_context& parent) noexcept { parent_ = parent; }
  /// `tag`: static text. Part of another one where that runs.
  void begin(time_point now, std::string_view tag, std::string_view prepared, const source_location& where,
             std::string_view server) noexcept {
    if (open_) return;
    open_ = to_->start(trace_start{trace_step::statement, parent_, {}, 0, where, server, tag, prepared});
    began_ = now;
    tag_ = tag;
    error_ = {};
  }
  /// Of several errors the first counts.
  void failed(std::string_view error) noexcept {
    if (error_.empty()) error_ = error;
  }
  /// `finished`: its answer was read to the end.
  void end(time_point now, bool finished) noexcept {
    if (!open_) return;
    if (!finished) failed("not finished");
    if (std::uncaught_exceptions() > 0) failed("failed");
    const trace_context span = *std::exchange(open_, std::nullopt);
    to_->end(span, trace_end{trace_step::statement, (std::max)(duration::zero(), std::chrono::duration_cast<duration>(now - began_)),
                             error_.view(), 0, tag_});
  }

 private:
  const std::shared_ptr<tracing> to_;
  trace_context parent_{};
  std::optional<trace_context> open_;
  time_point began_{};
  std::string_view tag_;
  bounded_string<47> error_{};
};
using statement_trace = basic_statement_trace<>;
/// Null: nothing is traced.
using statement_trace_ptr = std::unique_ptr<statement_trace>;
template <class = void>
statement_trace_ptr statement_trace_for(const std::shared_ptr<tracing>& to) {
  return to ? std::make_unique<statement_trace>(to) : nullptr;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
