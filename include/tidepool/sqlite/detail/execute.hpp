// SPDX-License-Identifier: BSL-1.0
// tidepool - runs statements: binds parameters, steps, and copies the rows.
#ifndef TIDEPOOL_SQLITE_DETAIL_EXECUTE_HPP
#define TIDEPOOL_SQLITE_DETAIL_EXECUTE_HPP

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "../statement.hpp"
#include "any_run.hpp"
#include "operation.hpp"
#include "request.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

// All functions but the coroutines run on a thread of the workers.

/// Its statement, and where the text goes on. Null for a text without a statement.
template <class = void>
inline statement_owner prepare_next(session& s, const request& what, std::string_view& rest, unsigned flags) {
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(s.db(), rest.data(), static_cast<int>(rest.size()), flags, &raw, &tail);
  if (code != SQLITE_OK) s.fail(sqlite3_extended_errcode(s.db()), &what);
  rest.remove_prefix(static_cast<std::size_t>(tail - rest.data()));
  return statement_owner(raw);
}
/// Exactly one.
template <class = void>
inline kept_statement prepare_one(session& s, const request& what) {
  if (what.sql.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw error(errc::bad_parameter, "the statement is larger than 2 GB");
  }
  std::string_view rest = what.sql;
  kept_statement out;
  out.handle = prepare_next(s, what, rest, s.statements.capacity() == 0 ? 0 : SQLITE_PREPARE_PERSISTENT);
  diagnosis said;
  s.name_statement(said, what);
  if (!out) throw error(errc::bad_usage, "the text holds no statement", std::move(said));
  while (!rest.empty()) {
    if (!prepare_next(s, what, rest, 0)) continue;
    said.advice = "use script() for several without parameters";
    throw error(errc::bad_usage, "exec() and prepare() take one statement, and this text has several", std::move(said));
  }
  out.parameters = static_cast<std::size_t>(sqlite3_bind_parameter_count(out.get()));
  out.writes = sqlite3_stmt_readonly(out.get()) == 0;
  return out;
}
/// From the cache where it is there.
template <class = void>
inline kept_statement statement_of(session& s, const request& what) {
  auto kept = s.statements.take(what.sql);
  return kept ? std::move(kept) : prepare_one(s, what);
}
/// Resets it and puts it into the cache.
template <class = void>
inline void give_back(session& s, kept_statement statement) {
  sqlite3_reset(statement.get());
  if (statement.parameters != 0) sqlite3_clear_bindings(statement.get());
  s.statements.put(std::move(statement));
}

template <class = void>
inline void bind_all(session& s, const kept_statement& statement, const request& what) {
  sqlite3_stmt* const to = statement.get();
  const auto taken = statement.parameters;
  if (taken != what.values.size()) {
    const auto count = [](std::size_t n) { return n == 0 ? std::string("none") : std::to_string(n); };
    diagnosis said;
    s.name_statement(said, what);
    if (what.values.size() > taken) said.advice = "a ? between quotes is text, not a parameter";
    throw error(errc::bad_parameter,
                count(what.values.size()) + (what.values.size() == 1 ? " parameter was given" : " parameters were given") +
                    ", and the statement takes " + count(taken),
                std::move(said));
  }
  int number = 0;
  for (const kept_value& one : what.values) {
    ++number;
    int code = SQLITE_OK;
    // What it refers to lives until the statement is reset.
    switch (one.kind) {
      case storage::null: code = sqlite3_bind_null(to, number); break;
      case storage::integer: code = sqlite3_bind_int64(to, number, one.integer); break;
      case storage::real: code = sqlite3_bind_double(to, number, one.real); break;
      case storage::text: code = sqlite3_bind_text(to, number, what.bytes.data() + one.at, static_cast<int>(one.size), nullptr); break;
      case storage::blob:
        code = one.size == 0 ? sqlite3_bind_zeroblob(to, number, 0)
                             : sqlite3_bind_blob(to, number, what.bytes.data() + one.at, static_cast<int>(one.size), nullptr);
        break;
    }
    if (code != SQLITE_OK) s.fail(code, &what);
  }
}

/// After the first step, because SQLite may have prepared it anew there: `select *` then has other columns.
template <class = void>
inline void name_columns(kept_statement& of, kept_rows& out) {
  const int count = sqlite3_column_count(of.get());
  const int versions = sqlite3_stmt_status(of.get(), SQLITE_STMTSTATUS_REPREPARE, 0);
  if (count != 0 && of.versions != versions) {
    auto names = std::make_shared<std::vector<std::string>>();
    names->reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      const char* name = sqlite3_column_name(of.get(), i);
      names->emplace_back(name == nullptr ? "" : name);
    }
    of.names = std::move(names);
    of.versions = versions;
  }
  out.names = of.names;
  out.no_rows = count == 0;
}
template <class = void>
inline void copy_row(sqlite3_stmt* from, kept_rows& out) {
  const int count = static_cast<int>(out.columns());
  for (int i = 0; i < count; ++i) {
    kept_value one;
    switch (sqlite3_column_type(from, i)) {
      case SQLITE_INTEGER:
        one.kind = storage::integer;
        one.integer = sqlite3_column_int64(from, i);
        break;
      case SQLITE_FLOAT:
        one.kind = storage::real;
        one.real = sqlite3_column_double(from, i);
        break;
      case SQLITE_NULL: break;
      default: {
        const bool text = sqlite3_column_type(from, i) == SQLITE_TEXT;
        one.kind = text ? storage::text : storage::blob;
        const void* const bytes = text ? static_cast<const void*>(sqlite3_column_text(from, i)) : sqlite3_column_blob(from, i);
        one.at = out.bytes.size();
        one.size = static_cast<std::uint32_t>(sqlite3_column_bytes(from, i));
        if (one.size > 0) out.bytes.append(static_cast<const char*>(bytes), one.size);
      }
    }
    out.values.push_back(one);
  }
  ++out.count;
}
/// True: one more row was copied. False: the statement has ended.
template <class = void>
inline bool step(session& s, kept_statement& of, const request& what, kept_rows& out) {
  const int code = sqlite3_step(of.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) s.fail(sqlite3_extended_errcode(s.db()), &what);
  if (out.count == 0) name_columns(of, out);
  if (code == SQLITE_DONE) return false;
  copy_row(of.get(), out);
  return true;
}
template <class = void>
inline void name_origin(const session& s, const request& what, kept_rows& out) {
  if (!s.settings().statement_in_errors) return;
  out.statement = tidepool::detail::printable(what.sql, 300);
  out.called_from = what.from;
}
template <class = void>
inline std::int64_t total_changes(sqlite3* db) noexcept {
#if SQLITE_VERSION_NUMBER >= 3037000
  return sqlite3_total_changes64(db);
#else
  return sqlite3_total_changes(db);
#endif
}
template <class = void>
inline std::int64_t changes(sqlite3* db) noexcept {
#if SQLITE_VERSION_NUMBER >= 3037000
  return sqlite3_changes64(db);
#else
  return sqlite3_changes(db);
#endif
}

/// One that failed is not kept.
template <class Run>
void with_statement(session& s, const request& what, const Run& run) {
  auto statement = statement_of(s, what);
  try {
    run(statement);
  } catch (...) {
    s.statements.drop(statement);
    throw;
  }
  give_back(s, std::move(statement));
}
template <class = void>
inline void run_one(session& s, const request& what, kept_rows& out) {
  with_statement(s, what, [&](kept_statement& statement) {
    const auto before = statement.writes ? total_changes(s.db()) : 0;
    bind_all(s, statement, what);
    while (step(s, statement, what, out)) {
    }
    if (!statement.writes) return;
    // The count of a statement that changes no rows, CREATE TABLE say, is that of one before it.
    out.affected = total_changes(s.db()) == before ? 0 : static_cast<std::uint64_t>(changes(s.db()));
    out.last_id = sqlite3_last_insert_rowid(s.db());
  });
}
template <class = void>
inline asio::awaitable<result> execute(session_ptr s, request what) {
  auto rows = std::make_unique<kept_rows>();
  name_origin(*s, what, *rows);
  const auto body = [&] { run_one(*s, what, *rows); };
  const auto tag = s->traced ? tidepool::detail::driver::tag_of(what.sql) : std::string_view();
  co_await on_thread(s, body, what.limit, true, tag, what.from);
  co_return result(std::move(rows));
}

template <class = void>
inline asio::awaitable<void> run_script(session_ptr s, request what) {
  const auto body = [&] {
    std::string_view rest = what.sql;
    while (!rest.empty()) {
      s->go_on();
      const auto one = prepare_next(*s, what, rest, 0);
      if (!one) continue;  // a comment
      if (sqlite3_bind_parameter_count(one.get()) != 0) {
        throw error(errc::bad_usage, "script() takes no parameters: use exec(sql, args...)");
      }
      int code = SQLITE_ROW;
      while (code == SQLITE_ROW) code = sqlite3_step(one.get());
      if (code != SQLITE_DONE) s->fail(sqlite3_extended_errcode(s->db()), &what);
    }
  };
  const auto tag = s->traced ? tidepool::detail::driver::tag_of(what.sql) : std::string_view();
  co_await on_thread(s, body, what.limit, true, tag, what.from);
}

template <class = void>
inline asio::awaitable<statement> prepare_statement(session_ptr s, request what) {
  std::size_t parameters = 0;
  kept_rows columns;
  const auto body = [&] {
    auto one = statement_of(*s, what);
    parameters = one.parameters;
    name_columns(one, columns);
    s->statements.put(std::move(one));
  };
  co_await on_thread(s, body, what.limit, true, "PREPARE", what.from);
  co_return statement(std::move(what.sql), parameters, columns.names ? *columns.names : std::vector<std::string>());
}

/// What `run()` calls leaves no statement open, also where it throws.
template <class = void>
inline asio::awaitable<void> call_there(session_ptr s, std::shared_ptr<any_run> what, duration limit) {
  const auto body = [&] {
    s->go_on();
    std::exception_ptr failure;
    try {
      what->call(s->db());
    } catch (...) {
      failure = std::current_exception();
    }
    const int code = sqlite3_extended_errcode(s->db());
    const std::string message = ends_connection(code) ? sqlite3_errmsg(s->db()) : "";
    s->end_statements();
    if (ends_connection(code) && !s->is_elsewhere(code)) s->note_broken(message + " (" + code_text(code) + ")");
    if (failure) std::rethrow_exception(failure);
  };
  co_await on_thread(s, body, limit, true, "RUN");
}

template <class = void>
inline asio::awaitable<void> check_alive(session_ptr s, std::string query, duration limit) {
  const request what(query, {}, limit);
  const auto body = [&] {
    s->check_place();
    (void)s->ask("pragma schema_version");
    if (query.empty()) return;
    kept_rows rows;
    run_one(*s, what, rows);
  };
  co_await on_thread(s, body, limit, true, "PING");
}

/// An error is that of the connection: it cannot be used again.
template <class = void>
inline asio::awaitable<void> reset_session(session_ptr s, duration limit) {
  if (s->settings().reset == reset_level::none && (s->needs_reset || s->in_transaction())) {
    s->note_broken("it was in a transaction, and options::reset is reset_level::none");
    throw s->lost();
  }
  const auto body = [&] {
    s->end_statements();
    if (s->in_transaction()) s->exec("rollback");
  };
  try {
    co_await on_thread(s, body, limit, false, "RESET");
  } catch (...) {
    s->needs_reset = true;
    throw;
  }
  s->needs_reset = false;
  s->touched = false;
}

template <class = void>
inline asio::awaitable<void> close_session(session_ptr s) {
  if (s->db() == nullptr) co_return;
  if (s->busy) {  // it ends soon, and closes the database with the last reference
    s->stop.abort("the connection was closed while an operation of it was running");
    co_return;
  }
  const auto body = [&] {
    if (!s->broken && s->settings().optimize && !s->reads_only) {
      s->end_statements();
      if (!s->in_transaction()) {
        // As far as the time goes; a failure is none of the caller's.
        (void)sqlite3_exec(s->db(), "pragma analysis_limit = 400; pragma optimize", nullptr, nullptr, nullptr);
      }
    }
    close_database(s->give_up());
  };
  s->busy = true;
  std::exception_ptr cancelled;
  try {
    co_await hop_to(s, body, s->settings().close_timeout);
  } catch (const error&) {
    // It was aborted, or late: the database is closed with the last reference.
  } catch (...) {
    cancelled = std::current_exception();
  }
  s->busy = false;
  if (cancelled) std::rethrow_exception(cancelled);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
