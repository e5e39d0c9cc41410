// SPDX-License-Identifier: BSL-1.0
// tidepool - copies a database while it is used.
#ifndef TIDEPOOL_SQLITE_DETAIL_BACKUP_RUN_HPP
#define TIDEPOOL_SQLITE_DETAIL_BACKUP_RUN_HPP

#include <sqlite3.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "../connection.hpp"
#include "open.hpp"
#include "operation.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

/// The target, and SQLite's object for the copy. They end where the coroutine does, also where that is cancelled.
template <class = void>
struct basic_copying {
  basic_copying() = default;
  basic_copying(const basic_copying&) = delete;
  basic_copying& operator=(const basic_copying&) = delete;
  ~basic_copying() { (void)finish(); }

  int finish() noexcept {
    const int code = copy == nullptr ? SQLITE_OK : sqlite3_backup_finish(std::exchange(copy, nullptr));
    sqlite3_close_v2(std::exchange(target, nullptr));
    return code;
  }
  sqlite3* target = nullptr;
  sqlite3_backup* copy = nullptr;
};

template <class = void>
[[noreturn]] inline void backup_failed(const std::string& to, int code, const char* message) {
  diagnosis said;
  said.code = code;
  said.message = message;
  throw error((code & 0xFF) == SQLITE_BUSY ? errc::locked : errc::database, "backup to " + tidepool::detail::printable(to, 200),
              std::move(said));
}

template <class = void>
inline bool is_file_of(sqlite3* db, const std::string& path) {
  const char* const own = sqlite3_db_filename(db, "main");
  if (own == nullptr || *own == 0) return false;
  try {
    return std::filesystem::equivalent(own, path);
  } catch (const std::exception&) {
    return false;  // there is no such file yet
  }
}

template <class = void>
inline asio::awaitable<void> copy_database(session_ptr s, std::string to, backup_options how) {
  if (how.pages_per_step == 0)
    throw error(errc::bad_parameter, "backup_options::pages_per_step is 0: one page or more, or -1 for all at once");
  const operation now(*s);
  basic_copying<> all;
  const auto begin = [&] {
    if (is_file_of(s->db(), to)) {
      throw error(errc::bad_parameter, "backup to " + tidepool::detail::printable(to, 200) + ": that is the database itself");
    }
    const int code = sqlite3_open_v2(to.c_str(), &all.target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (all.target == nullptr) backup_failed(to, SQLITE_NOMEM, "no memory");
    (void)sqlite3_extended_result_codes(all.target, 1);
    if (code != SQLITE_OK) backup_failed(to, sqlite3_extended_errcode(all.target), sqlite3_errmsg(all.target));
    (void)sqlite3_busy_timeout(all.target, 1000);
    all.copy = sqlite3_backup_init(all.target, "main", s->db(), "main");
    if (all.copy == nullptr) backup_failed(to, sqlite3_extended_errcode(all.target), sqlite3_errmsg(all.target));
  };
  co_await hop_to(s, begin, no_limit);
  bool more = true;
  backup_progress far;
  const auto step = [&] {
    int code = sqlite3_backup_step(all.copy, how.pages_per_step);
    // Another connection writes: the next step waits for it a little.
    const auto until = later(real_now(), s->settings().busy_timeout);
    while ((code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_LOCKED) {
      s->throw_stopped();
      if (real_now() >= until) break;
      s->stop.sleep_until(real_now() + std::chrono::milliseconds(5));
      code = sqlite3_backup_step(all.copy, how.pages_per_step);
    }
    far = {sqlite3_backup_remaining(all.copy), sqlite3_backup_pagecount(all.copy)};
    if (code == SQLITE_DONE) {
      more = false;
      code = all.finish();
    }
    if (code != SQLITE_OK && code != SQLITE_DONE) backup_failed(to, code, sqlite3_errstr(code));
  };
  while (more) {
    co_await hop_to(s, step, no_limit);
    if (how.on_progress) how.on_progress(far);
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
