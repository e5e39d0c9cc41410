// SPDX-License-Identifier: BSL-1.0
// tidepool - opens a database as the options say.
#ifndef TIDEPOOL_SQLITE_DETAIL_OPEN_HPP
#define TIDEPOOL_SQLITE_DETAIL_OPEN_HPP

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "../../version.hpp"
#include "../error.hpp"
#include "../options.hpp"
#include "operation.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

struct closer {
  void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};

/// Why a file cannot be opened, which SQLite does not tell.
template <class = void>
inline std::string place_text(const options& how) {
  namespace fs = std::filesystem;
  if (how.is_private() || how.is_shared_memory()) return {};
  try {
    const fs::path file(how.summary());
    auto folder = file.parent_path();
    if (folder.empty()) folder = ".";
    if (fs::is_directory(file)) return "it is a folder";
    if (!fs::exists(folder)) return "there is no folder " + folder.string();
    if (!fs::is_directory(folder)) return folder.string() + " is no folder";
    if (!fs::exists(file)) return how.read_only || !how.create ? "there is no such file" : "the file cannot be made in " + folder.string();
  } catch (const std::exception&) {
    // Not even looking is allowed: SQLite's words have to do.
  }
  return {};
}
template <class = void>
inline connect_error open_failure(const options& how, int code, const std::string& message) {
  diagnosis said;
  said.code = code;
  said.message = message;
  auto kind = failure_kind::transient;
  std::string text = "cannot open " + how.summary();
  switch (code & 0xFF) {
    case SQLITE_CANTOPEN: {
      kind = failure_kind::permanent;
      const auto why = place_text(how);
      if (!why.empty()) text += ": " + why;
      break;
    }
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      kind = failure_kind::permanent;
      said.advice = "the file is damaged, encrypted or something else: restore it from a backup";
      break;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_ERROR:
    case SQLITE_MISUSE: kind = failure_kind::permanent; break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: said.advice = "another process holds the lock: see which one has the file open"; break;
    default: break;
  }
  return {errc::connect_failed, text, std::move(said), kind};
}
template <class = void>
inline const char* journal_name(journal mode) noexcept {
  switch (mode) {
    case journal::wal: return "wal";
    case journal::truncate: return "truncate";
    case journal::persist: return "persist";
    case journal::rollback: return "delete";
    case journal::memory: return "memory";
    case journal::off: return "off";
    case journal::keep: break;
  }
  return "";
}
/// Two connections that change it at the same time do not wait for each other in SQLite.
template <class = void>
inline void set_journal(session& s) {
  const options& how = s.settings();
  const std::string wanted = journal_name(how.journal_mode);
  const auto until = later(real_now(), how.busy_timeout);
  for (;;) {
    try {
      if (s.ask("pragma main.journal_mode") == wanted) return;
      const auto got = s.ask(("pragma main.journal_mode = " + wanted).c_str());
      if (got == wanted) return;
      throw connect_error(errc::connect_failed,
                          "cannot open " + how.summary() + ": its journal mode stays \"" + got + "\" instead of \"" + wanted +
                              "\"; a network file system has no WAL: choose another options::journal_mode",
                          {}, failure_kind::permanent);
    } catch (const connect_error&) {
      throw;
    } catch (const error& failure) {
      if (failure.reason() != errc::locked || real_now() >= until) throw;
    }
    s.stop.sleep_until(std::min(until, real_now() + std::chrono::milliseconds(5)));
    s.throw_stopped();
  }
}

/// On a thread of the workers.
template <class = void>
inline void open_here(session& s) {
  const options& how = s.settings();
  if (sqlite3_threadsafe() == 0) {
    throw connect_error(errc::connect_failed, "this SQLite was compiled without threads (SQLITE_THREADSAFE=0): use another", {},
                        failure_kind::permanent);
  }
  const int access = how.read_only ? SQLITE_OPEN_READONLY : how.create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(how.path.c_str(), &raw, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, nullptr);
  std::unique_ptr<sqlite3, closer> opened(raw);
  if (raw == nullptr) throw open_failure(how, SQLITE_NOMEM, "no memory");
  (void)sqlite3_extended_result_codes(raw, 1);
  if (code != SQLITE_OK) throw open_failure(how, sqlite3_extended_errcode(raw), sqlite3_errmsg(raw));
  s.adopt(opened.release());
  const bool file = !how.is_private() && !how.is_shared_memory();
  try {
    (void)sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, how.trusted_schema ? 1 : 0, nullptr);
    // The first look at the file: is it a database?
    (void)s.ask("pragma schema_version");
    const bool refused = sqlite3_db_readonly(raw, "main") == 1;
    if (refused && !how.read_only) {
      throw connect_error(errc::connect_failed,
                          "cannot open " + how.summary() + ": there is no right to write it; set options::read_only if that is meant", {},
                          failure_kind::permanent);
    }
    if (file && !refused && how.journal_mode != journal::keep) set_journal(s);
    constexpr const char* levels[] = {"off", "normal", "full", "extra"};
    s.exec((std::string("pragma synchronous = ") + levels[static_cast<int>(how.synchronous)]).c_str());
    s.exec(how.foreign_keys ? "pragma foreign_keys = on" : "pragma foreign_keys = off");
    if (how.cache_kib) s.exec(("pragma cache_size = " + std::to_string(-*how.cache_kib)).c_str());
    if (how.mmap_bytes) (void)s.ask(("pragma mmap_size = " + std::to_string(*how.mmap_bytes)).c_str());
    if (how.query_only) s.exec("pragma query_only = on");
    s.reads_only = refused || how.query_only;
  } catch (const connect_error&) {
    throw;
  } catch (const error& failure) {
    if (failure.sqlite_code() == 0) throw;  // aborted, or too late
    throw open_failure(how, failure.sqlite_code(), std::string(failure.message()));
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
