// SPDX-License-Identifier: BSL-1.0
// tidepool - the state of one connection: SQLite's object, its statements, and what stops an operation.
#ifndef TIDEPOOL_SQLITE_DETAIL_SESSION_HPP
#define TIDEPOOL_SQLITE_DETAIL_SESSION_HPP

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/driver/statement_trace.hpp"
#include "../../detail/driver/text.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../options.hpp"
#include "codes.hpp"
#include "hop.hpp"
#include "request.hpp"
#include "session_base.hpp"
#include "statement_cache.hpp"
#include "statement_words.hpp"
#include "workers.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

using steady = std::chrono::steady_clock;
/// SQLite works in real time only.
inline steady::time_point real_now() noexcept { return steady::now(); }  // NOLINT(clock): of the driver
/// `at + span` without an overflow; `no_limit` is never.
inline steady::time_point later(steady::time_point at, duration span) noexcept {
  if (span == no_limit) return steady::time_point::max();
  return at + std::chrono::duration_cast<steady::duration>(std::min<duration>(span, std::chrono::hours(24 * 365)));
}

/// Why an operation has to end before it is done.
enum class stop_reason { none, cancelled, late, aborted };

/// What stops the operation of a session. Thread safe.
template <class = void>
class basic_stopper {
 public:
  /// Before an operation, in its coroutine: nobody else looks.
  void begin(duration limit) noexcept {
    cancelled_.store(false, std::memory_order_relaxed);
    const auto now = real_now();
    due_ = later(now, limit);
    since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void ended() noexcept { since_.store(0, std::memory_order_relaxed); }
  steady::time_point since() const noexcept { return steady::time_point(steady::duration(since_.load(std::memory_order_relaxed))); }

  /// On the operation's thread.
  stop_reason reason() const noexcept {
    if (aborted_.load(std::memory_order_acquire)) return stop_reason::aborted;
    if (cancelled_.load(std::memory_order_acquire)) return stop_reason::cancelled;
    return due_ != steady::time_point::max() && real_now() >= due_ ? stop_reason::late : stop_reason::none;
  }
  steady::time_point due() const noexcept { return due_; }

  void cancel() noexcept {
    const std::lock_guard lock(mutex_);
    cancelled_.store(true, std::memory_order_release);
    interrupt();
  }
  void abort(std::string_view why) noexcept {
    const std::lock_guard lock(mutex_);
    if (aborted_.load(std::memory_order_relaxed)) return;
    words_size_ = std::min(why.size(), words_.size());
    std::copy_n(why.data(), words_size_, words_.data());
    aborted_.store(true, std::memory_order_release);
    interrupt();
  }
  bool is_aborted() const noexcept { return aborted_.load(std::memory_order_acquire); }
  /// After `is_aborted()`.
  std::string_view words() const noexcept { return {words_.data(), words_size_}; }

  /// From here on it may be interrupted; null: from here on not.
  void set(sqlite3* db) noexcept {
    const std::lock_guard lock(mutex_);
    db_ = db;
  }
  /// Sleeps, until something stops the operation at the latest.
  void sleep_until(steady::time_point at) noexcept {
    std::unique_lock lock(mutex_);
    (void)woken_.wait_until(lock, std::min(at, due_), [this] { return aborted_.load() || cancelled_.load(); });
  }

 private:
  void interrupt() noexcept {
    if (db_ != nullptr) sqlite3_interrupt(db_);
    woken_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable woken_;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> aborted_{false};
  std::atomic<steady::rep> since_{0};
  steady::time_point due_ = steady::time_point::max();
  sqlite3* db_ = nullptr;
  std::array<char, 200> words_{};
  std::size_t words_size_ = 0;
};
using stopper = basic_stopper<>;

template <class = void>
inline void close_database(sqlite3* db) noexcept {
  if (db == nullptr) return;
  while (sqlite3_stmt* const open = sqlite3_next_stmt(db, nullptr)) sqlite3_finalize(open);
  sqlite3_close_v2(db);
}

/// Closes a database on another thread: its connection is gone.
template <class = void>
class basic_closing final : public job {
 public:
  explicit basic_closing(sqlite3* db) : db_(db) {}
  void work() noexcept override { close_database(db_); }
  void conclude() noexcept override { delete this; }

 private:
  sqlite3* db_;
};

template <class>
class basic_session : public session_base {
 public:
  basic_session(std::shared_ptr<const options> settings, std::shared_ptr<detail::workers> threads)
      : settings_(std::move(settings)), threads_(std::move(threads)), statements(settings_->statement_cache), peer(settings_->summary()) {}

  const options& settings() const noexcept { return *settings_; }
  detail::workers& threads() const noexcept { return *threads_; }
  sqlite3* db() const noexcept { return db_; }
  bool in_transaction() const noexcept { return db_ != nullptr && sqlite3_get_autocommit(db_) == 0; }

  /// On a thread of the workers: keeps the database, and watches over its statements.
  void adopt(sqlite3* db) noexcept {
    db_ = db;
    watch();
    stop.set(db);
  }
  /// Before every piece of work, because `pragma busy_timeout` and the functions for `run()` can replace both.
  void watch() noexcept {
    if (db_ == nullptr) return;
    sqlite3_busy_handler(db_, &on_busy, this);
    sqlite3_progress_handler(db_, opcodes_between_looks, &on_progress, this);
  }
  /// Gives it away, to be closed.
  sqlite3* give_up() noexcept {
    stop.set(nullptr);
    statements.forget();
    if (db_ != nullptr) {
      sqlite3_busy_handler(db_, nullptr, nullptr);
      sqlite3_progress_handler(db_, 0, nullptr, nullptr);
    }
    return std::exchange(db_, nullptr);
  }

  /// Which hop is under way; null: none.
  void set_hop(hop* one) noexcept {
    const std::lock_guard lock(hop_mutex_);
    hop_ = one;
  }
  /// Ends the operation soon; one that waits for a thread at once. Without one it does nothing: the next is somebody else's. From any
  /// thread.
  void cancel() noexcept {
    hop* withdrawn = nullptr;
    {
      const std::lock_guard lock(hop_mutex_);
      if (hop_ == nullptr) return;
      stop.cancel();
      if (threads_->withdraw(*hop_)) withdrawn = std::exchange(hop_, nullptr);
    }
    if (withdrawn != nullptr) withdrawn->conclude();
  }

  /// The error of a connection that is gone.
  error lost() const {
    if (stop.is_aborted()) {
      std::string text(stop.words());
      return {errc::connection_lost, text.empty() ? "the connection was aborted" : text};
    }
    return {errc::connection_lost, ended.empty() ? "the connection is closed" : "the connection cannot be used any more: " + ended};
  }
  /// Before an operation: throws where it cannot run. `clean`: a cancelled transaction must not be open.
  void check_ready(bool clean) const {
    if (stop.is_aborted()) throw lost();
    if (busy) {  // before what its thread may be writing
      throw error(errc::busy, "another operation of this connection is running, or a stream is open: await it, or its close(), first");
    }
    if (broken || db_ == nullptr) throw lost();
    if (clean && needs_reset)
      throw error(errc::needs_reset, "a cancelled transaction or an unfinished stream is still open: reset() first");
    // A statement would be a transaction of its own.
    if (clean && scopes > 0 && !in_transaction()) throw gone();
  }
  static error gone() {
    return {errc::rolled_back, "the transaction is gone: SQLite rolled it back after an error, or a statement of its body ended it"};
  }

  /// The error of a statement that has just failed. On its thread.
  [[noreturn]] void fail(int code, const request* asked) {
    const bool stopped = (code & 0xFF) == SQLITE_INTERRUPT || (code & 0xFF) == SQLITE_BUSY;
    if (stopped) throw_stopped();
    if (traced) traced->failed(code_text(code));
    diagnosis said;
    said.code = code;
    said.message = db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_);
    errc reason = reason_of(code);
    if (reason == errc::connection_lost && is_elsewhere(code)) reason = errc::database;
    std::string words;
    if (asked != nullptr) {
#if SQLITE_VERSION_NUMBER >= 3038000
      said.offset = db_ == nullptr ? -1 : sqlite3_error_offset(db_);
#endif
      if (said.offset >= 0) said.excerpt = excerpt_of(asked->sql, static_cast<std::size_t>(said.offset));
      name_statement(said, *asked);
    }
    if (reason == errc::connection_lost) {
      words = "the connection cannot be used any more";
      if (code == SQLITE_READONLY_DBMOVED) said.advice = "the file was moved, replaced or deleted while it was open";
      note_broken(said.message + " (" + code_text(code) + ")");
    } else if (reason == errc::locked) {
      said.advice =
          code == SQLITE_BUSY_SNAPSHOT
              ? "another connection has written since this transaction first read: begin with locking::immediate, or repeat it"
              : "another connection holds the lock for longer than busy_timeout: see which process has the file open, or repeat it";
    } else if (reason == errc::read_only) {
      said.advice =
          reads_only ? "this connection only reads: use one that may write, write() of a database" : "look at the file's permissions";
    } else if ((code & 0xFF) == SQLITE_FULL) {
      said.advice = "the disk, or max_page_count, is full";
    }
    throw error(reason, words, std::move(said));
  }
  /// Where it failed because it was stopped.
  void throw_stopped() {
    const stop_reason why = stop.reason();
    if (traced && why != stop_reason::none) {
      traced->failed(why == stop_reason::aborted ? "connection_lost" : why == stop_reason::late ? "response_timeout" : "cancelled");
    }
    switch (why) {
      case stop_reason::aborted: throw lost();
      case stop_reason::cancelled: throw system_error(error_code(asio::error::operation_aborted));
      case stop_reason::late: throw error(errc::response_timeout, "not done in time: interrupted; the connection is kept");
      case stop_reason::none: break;
    }
  }
  void check(int code, const request* asked = nullptr) {
    if (code != SQLITE_OK) fail(code, asked);
  }
  void name_statement(diagnosis& said, const request& asked) const {
    if (!settings().statement_in_errors) return;
    said.statement = tidepool::detail::printable(asked.sql, 300);
    said.called_from = asked.from;
  }
  void note_broken(std::string why) {
    broken = true;
    if (ended.empty()) ended = tidepool::detail::printable(why, 200);
  }

  /// A statement without parameters, of the driver's own. On a thread of the workers.
  void exec(const char* sql) {
    const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(sqlite3_extended_errcode(db_), nullptr);
  }
  /// The first value of one, as text.
  std::string ask(const char* sql) {
    sqlite3_stmt* raw = nullptr;
    check(sqlite3_prepare_v2(db_, sql, -1, &raw, nullptr));
    const statement_owner of(raw);
    const int code = sqlite3_step(raw);
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail(sqlite3_extended_errcode(db_), nullptr);
    const auto* text = code == SQLITE_ROW ? sqlite3_column_text(raw, 0) : nullptr;
    return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
  }
  /// Whether a fault is that of another file: one to be attached, or a temporary one. Replaces SQLite's message.
  bool is_elsewhere(int code) noexcept {
    return (code & 0xFF) == SQLITE_CANTOPEN && db_ != nullptr &&
           sqlite3_exec(db_, "pragma main.schema_version", nullptr, nullptr, nullptr) == SQLITE_OK;
  }
  /// Whether the file is no longer the one that was opened.
  bool has_moved() noexcept {
    int moved = 0;
    return sqlite3_file_control(db_, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
  }
  void check_place() {
    if (!has_moved()) return;
    note_broken("its file was moved, replaced or deleted");
    throw lost();
  }
  /// Ends what an operation has left open: an open statement keeps a read transaction. On a thread of the workers, or while none runs.
  void end_statements() noexcept {
    for (sqlite3_stmt* one = sqlite3_next_stmt(db_, nullptr); one != nullptr; one = sqlite3_next_stmt(db_, one)) {
      if (sqlite3_stmt_busy(one) != 0) sqlite3_reset(one);
    }
    statements.finalise_left();
  }

  /// On a thread of the workers, before and between statements.
  void go_on() {
    throw_stopped();
    if (db_ == nullptr) throw lost();
  }

 protected:
  ~basic_session() {
    if (db_ == nullptr) return;
    sqlite3* const mine = give_up();
    auto* const closing = new (std::nothrow) basic_closing<>(mine);
    try {
      if (closing != nullptr) threads_->submit(*closing);
    } catch (...) {
      closing->work();  // no thread can be had: here, then
      closing->conclude();
    }
    if (closing == nullptr) close_database(mine);
  }

 private:
  static constexpr int opcodes_between_looks = 1000;

  static int on_progress(void* self) noexcept { return static_cast<basic_session*>(self)->stop.reason() == stop_reason::none ? 0 : 1; }
  /// SQLite's own handler sleeps without looking up; this one ends with the operation.
  static int on_busy(void* self, int tries) noexcept {
    auto& here = *static_cast<basic_session*>(self);
    const auto now = real_now();
    if (tries == 0) here.busy_until_ = later(now, here.settings().busy_timeout);
    if (now >= here.busy_until_ || here.stop.reason() != stop_reason::none) return 0;
    constexpr std::array<int, 8> pauses{1, 1, 2, 2, 5, 5, 10, 10};  // milliseconds
    const auto pause = std::chrono::milliseconds(pauses[std::min<std::size_t>(static_cast<std::size_t>(tries), pauses.size() - 1)]);
    here.stop.sleep_until(std::min<steady::time_point>(now + pause, here.busy_until_));
    return here.stop.reason() == stop_reason::none ? 1 : 0;
  }

  std::shared_ptr<const options> settings_;
  std::shared_ptr<detail::workers> threads_;
  sqlite3* db_ = nullptr;
  steady::time_point busy_until_{};
  std::mutex hop_mutex_;
  hop* hop_ = nullptr;

 public:
  stopper stop;
  statement_cache statements;
  std::string peer;
  std::string ended = {};  ///< why it is broken
  steady::time_point last_answer{};
  unsigned scopes = 0;       ///< bodies of transactions that run
  bool broken = false;       ///< never to be used again
  bool busy = false;         ///< an operation is running
  bool touched = false;      ///< something ran since the last reset
  bool needs_reset = false;  ///< a cancelled transaction or an unfinished stream is open
  bool reads_only = false;
  const tidepool::detail::driver::statement_trace_ptr traced{tidepool::detail::driver::statement_trace_for(settings_->tracing)};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
