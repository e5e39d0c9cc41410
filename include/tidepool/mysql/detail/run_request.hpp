// SPDX-License-Identifier: BSL-1.0
// tidepool - the steps of one request: as text or prepared, executed, its result sets read. perform.hpp puts them together.
#ifndef TIDEPOOL_MYSQL_DETAIL_RUN_REQUEST_HPP
#define TIDEPOOL_MYSQL_DETAIL_RUN_REQUEST_HPP

#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/util/attributes.hpp"
#include "../../version.hpp"
#include "client_calls.hpp"
#include "request.hpp"
#include "session.hpp"
#include "take_rows.hpp"
#include "waiting.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// What became of a request: its result sets, or the first error.
struct outcome {
  std::shared_ptr<kept_rows> first{};
  kept_rows* last = nullptr;
  failure failed{};

  kept_rows& add(const session& s, const request& what) {
    if (last == nullptr) {
      first = std::make_shared<kept_rows>();
      last = first.get();
    } else {
      auto made = std::make_unique<kept_rows>();
      kept_rows* const here = made.get();
      last->next = std::move(made);
      last = here;
    }
    if (s.settings().statement_in_errors) {
      last->statement = printable(what.sql, 300);
      last->called_from = what.from;
    }
    return *last;
  }
};

template <class = void>
inline void note_counts(const session& s, kept_rows& out, std::uint64_t affected, std::uint64_t id) noexcept {
  out.affected = affected == ~std::uint64_t{0} ? 0 : affected;
  out.last_id = id;
  out.warnings = mysql_warning_count(s.my());
}

/// Sent as text: what cannot be prepared, and several statements.
template <class = void>
inline asio::awaitable<void> run_text(session_ptr s, const request& what, outcome& out) {
  int status = 0;
  if (what.several) {
    status = calls::several(*s, true);
    if (status != 0) co_await finish_call(s, status);
    if (s->number != 0) {
      out.failed = s->failure_now();
      co_return;
    }
  }
  ++s->requests_sent;
  status = calls::query(*s, what.sql);
  if (status != 0) co_await finish_call(s, status);
  while (s->number == 0) {
    auto& rows = out.add(*s, what);
    rows.no_rows = mysql_field_count(s->my()) == 0;
    if (!rows.no_rows) {
      status = calls::store_text(*s);
      if (status != 0) co_await finish_call(s, status);
      if (s->stored == nullptr) {
        s->number = 1;
        break;
      }
      const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> stored(std::exchange(s->stored, nullptr), &mysql_free_result);
      take_text_rows(stored.get(), rows);
    }
    note_counts(*s, rows, mysql_affected_rows(s->my()), mysql_insert_id(s->my()));
    if (mysql_more_results(s->my()) == 0) break;
    status = calls::next_text(*s);
    if (status != 0) co_await finish_call(s, status);
    if (s->number < 0) s->number = 0;
  }
  if (s->number != 0 || s->broken) out.failed = s->failure_now();
  if (what.several && !s->broken && !out.failed.said.ends_session()) {
    status = calls::several(*s, false);
    if (status != 0) co_await finish_call(s, status);
    if (s->number != 0 && !out.failed.any) out.failed = s->failure_now();
  }
}

template <class = void>
inline std::size_t hash_of(std::string_view sql) noexcept {
  return std::hash<std::string_view>()(sql);
}
/// Null when it is not there.
template <class = void>
inline MYSQL_STMT* find_prepared(session& s, std::string_view sql) noexcept {
  const auto hash = hash_of(sql);
  auto* const known = s.prepared.find(hash);
  if (known == nullptr || known->sql != sql) return nullptr;
  s.prepared.use(hash);
  return known->handle;
}

/// Whether it may run twice.
template <class = void>
inline bool only_reads(std::string_view sql) noexcept {
  const auto begin = std::min(sql.find_first_not_of(" \t\r\n("), sql.size());
  std::string word;
  for (const char c : sql.substr(begin, 6)) word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return word == "select";
}

/// Closes a statement on the server; that has no answer.
template <class = void>
inline asio::awaitable<void> close_statement(session_ptr s, MYSQL_STMT* of) {
  const int status = calls::close(*s, of);
  if (status != 0) co_await finish_call(s, status);
}
/// Takes one out of the cache.
template <class = void>
inline asio::awaitable<void> drop_prepared(session_ptr s, std::string_view sql) {
  MYSQL_STMT* const gone = s->prepared.find(hash_of(sql))->handle;
  s->prepared.erase(hash_of(sql));
  co_await close_statement(s, gone);
}

/// Prepares a statement, and keeps it where there is a cache; else it is `passing`. Null with an error in `out`.
template <class = void>
inline asio::awaitable<MYSQL_STMT*> prepare_statement(session_ptr s, std::string_view sql, outcome& out) {
  const auto capacity = s->settings().statement_cache;
  if (capacity > 0) {
    if (auto* const other = s->prepared.find(hash_of(sql))) {  // another text with the same hash
      const std::string text = other->sql;
      co_await drop_prepared(s, text);
    }
    while (s->prepared.size() >= capacity) {
      const std::string oldest = s->prepared.oldest().sql;
      co_await drop_prepared(s, oldest);
    }
  }
  s->passing = mysql_stmt_init(s->my());
  if (s->passing == nullptr) throw std::bad_alloc();
  int status = calls::prepare(*s, s->passing, sql);
  if (status != 0) co_await finish_call(s, status);
  MYSQL_STMT* const made = s->passing;
  if (s->number != 0 || s->broken) {
    out.failed = s->failure_now(made);
    (void)mysql_stmt_close(std::exchange(s->passing, nullptr));  // the server has nothing of it
    co_return nullptr;
  }
  if (capacity > 0) {
    s->prepared.insert(hash_of(sql), {std::string(sql), made});
    s->passing = nullptr;
  }
  co_return made;
}

/// The error of a request that has more or fewer values than its statement takes.
template <class = void>
TIDEPOOL_COLD TIDEPOOL_NOINLINE inline void refuse_count(std::size_t taken, std::size_t given, outcome& out) {
  out.failed.any = true;
  out.failed.said.message = "the statement takes " + std::to_string(taken) + (taken == 1 ? " parameter" : " parameters") + ", and " +
                            std::to_string(given) + (given == 1 ? " was" : " were") + " given: nothing was sent";
}

/// Binds the parameters and begins to execute; as a call of the client library. Nothing was sent where `out` has an error.
template <class = void>
inline int begin_execution(session& s, MYSQL_STMT* of, const request& what, outcome& out) {
  const auto taken = mysql_stmt_param_count(of);
  if (taken != what.values.size()) {
    refuse_count(taken, what.values.size(), out);
    return 0;
  }
  if (taken != 0) {
    s.parameters.fill(what.values, what.bytes);
    if (mysql_stmt_bind_param(of, s.parameters.data()) != 0) {
      out.failed = s.failure_now(of);
      return 0;
    }
  }
  ++s.requests_sent;
  return calls::execute(s, of);
}

/// The statement of a request, its parameters bound and its execution begun and ended; null where `out` has an error. A statement that is
/// stale is prepared once more, unless it is part of a transaction. `failed`: a statement of the cache whose execution has just failed.
template <class = void>
inline asio::awaitable<MYSQL_STMT*> execute_statement(session_ptr s, const request& what, outcome& out, MYSQL_STMT* failed = nullptr) {
  for (int turn = 0;; ++turn) {
    MYSQL_STMT* of = std::exchange(failed, nullptr);
    if (of == nullptr) {
      of = find_prepared(*s, what.sql);
      if (of == nullptr) of = co_await prepare_statement(s, what.sql, out);
      if (of == nullptr) co_return nullptr;
      if (s->stop) {  // it was to end while it was prepared: it is not run any more
        out.failed.any = true;
        out.failed.said.number = 1317;
        out.failed.said.sqlstate = "70100";
        out.failed.said.message = "stopped before it was run";
        co_return nullptr;
      }
      const int status = begin_execution(*s, of, what, out);
      if (out.failed.any) co_return nullptr;
      if (status != 0) co_await finish_call(s, status);
      if (s->number == 0 && !s->broken) co_return of;
    }
    out.failed = s->failure_now(of);
    const bool stale = out.failed.said.number == 1243 || out.failed.said.number == 1615;
    // The table has other columns than before: the statement was run, and its rows cannot be read by the old ones.
    const bool altered = out.failed.said.number == 2057;
    if ((!stale && !altered) || s->broken) co_return nullptr;
    if (auto* const known = s->prepared.find(hash_of(what.sql)); known != nullptr && known->handle == of) {
      co_await drop_prepared(s, what.sql);
    }
    if (altered) out.failed.said.advice = "the table was altered: the statement has run, and its rows are lost";
    if (turn > 0 || s->broken || (stale && s->in_transaction()) || (altered && !only_reads(what.sql))) co_return nullptr;
    out.failed = failure();
  }
}

/// Begins to read a result set of a statement that was executed; as a call of the client library.
template <class = void>
inline int begin_set(session& s, MYSQL_STMT* of, const request& what, outcome& out) {
  auto& rows = out.add(s, what);
  rows.no_rows = mysql_stmt_field_count(of) == 0;
  if (rows.no_rows) return 0;
  s.reader.begin(of, rows);
  return calls::store(s, of);
}
/// All of it has arrived: copies its rows. False where `out` has an error.
template <class = void>
inline bool end_set(session& s, MYSQL_STMT* of, outcome& out) {
  auto& rows = *out.last;
  if (rows.no_rows) {
    note_counts(s, rows, mysql_stmt_affected_rows(of), mysql_stmt_insert_id(of));
    return true;
  }
  if (s.number != 0 || s.broken) {
    out.failed = s.failure_now(of);
    return false;
  }
  rows.values.reserve(static_cast<std::size_t>(mysql_stmt_num_rows(of)) * rows.names.size());
  for (int got = mysql_stmt_fetch(of); got != MYSQL_NO_DATA; got = mysql_stmt_fetch(of)) {
    if (got == 1) {
      out.failed = s.failure_now(of);
      return false;
    }
    s.reader.take(of, rows);
  }
  note_counts(s, rows, rows.count, 0);
  return true;
}

/// The result sets behind the one that was read.
template <class = void>
inline asio::awaitable<void> read_more_sets(session_ptr s, MYSQL_STMT* of, const request& what, outcome& out) {
  while (mysql_stmt_more_results(of) != 0) {
    int status = calls::next_set(*s, of);
    if (status != 0) co_await finish_call(s, status);
    if (s->number > 0 || s->broken) {
      out.failed = s->failure_now(of);
      co_return;
    }
    status = begin_set(*s, of, what, out);
    if (status != 0) co_await finish_call(s, status);
    const bool read = end_set(*s, of, out);
    if (!read) co_return;
  }
}

/// What the server cannot prepare, or has no room to keep prepared.
template <class = void>
inline bool is_unprepared(const session& s, const request& what, const outcome& out) noexcept {
  const auto number = out.failed.said.number;
  return (number == 1295 || number == 1461) && what.values.empty() && !s.broken && !s.stop;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
