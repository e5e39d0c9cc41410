// SPDX-License-Identifier: BSL-1.0
// tidepool - the state of one connection: the client library's object, its socket on the event loop, and what is known of the session.
#ifndef TIDEPOOL_MYSQL_DETAIL_SESSION_HPP
#define TIDEPOOL_MYSQL_DETAIL_SESSION_HPP

#include <mysql.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../detail/driver/statement_trace.hpp"
#include "../../version.hpp"
#include "../error.hpp"
#include "../options.hpp"
#include "driver_parts.hpp"
#include "request.hpp"
#include "session_base.hpp"
#include "take_rows.hpp"
#include "target.hpp"
#include "tls_errors.hpp"

#if !defined(MARIADB_PACKAGE_VERSION_ID)
#error "tidepool::mysql needs MariaDB's client library (libmariadb-dev), whose calls can be suspended; it serves MySQL's servers too"
#elif MARIADB_PACKAGE_VERSION_ID < 30300
#error "tidepool::mysql needs MariaDB Connector/C 3.3 or newer"
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// What is known of cancelling a connection's statements, also when the connection is gone.
struct cancel_record {
  std::atomic<int> in_flight{0};           ///< KILL QUERYs that may still have an effect
  std::atomic<unsigned long> activity{0};  ///< odd while an operation runs
};

/// An operation that is being stopped: it is cancelled on the server, then read to its end, so that the connection stays usable. The code
/// that runs it goes on as before; only its waits are bounded by `until`, when the socket is shut.
struct stopping {
  enum class cause : unsigned char { late, cancelled, closed };
  cause why;
  duration limit;                  ///< for `late`: the limit that was passed
  clock::time_point silent_since;  ///< when the wait began that led to this
  clock::time_point until;         ///< for `closed`: begins again whenever the server sends something
  clock::time_point next_request;
  duration pause;      ///< between requests
  bool throws = true;  ///< `throw_if_cancelled` before the stop, to be restored
  bool asked = false;  ///< a KILL QUERY was sent: it may meet the next statement, so that has to be one of ours
};

/// A statement that the server keeps prepared.
struct prepared_statement {
  std::string sql;
  MYSQL_STMT* handle;
};

/// An error of the client library, copied before the next call replaces it.
struct failure {
  failure() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  bool any = false;
  diagnosis said{};
};

/// The state of one connection. Never moves. One operation at a time uses it; only `shutdown`, `cancels` and `waiting_since()` may be used
/// from other threads.
template <class>
class basic_session : public session_base {
 public:
  basic_session(asio::any_io_executor executor, std::shared_ptr<const options> settings)
      : executor_(std::move(executor)), settings_(std::move(settings)) {}
  basic_session(const basic_session&) = delete;
  basic_session& operator=(const basic_session&) = delete;

  const options& settings() const noexcept { return *settings_; }
  const std::shared_ptr<const options>& shared_settings() const noexcept { return settings_; }
  const asio::any_io_executor& executor() const noexcept { return executor_; }
  bool has_socket() const noexcept { return bool(socket_); }
  MYSQL* my() const noexcept { return handle_; }
  void adopt(MYSQL* made) noexcept { handle_ = made; }

  // --- the socket -----------------------------------------------------------------------------------------------------

  /// Makes Asio watch the socket that the client library uses now. Cheap when it is still the same. False: no descriptor is left.
  bool follow_socket() { return socket_.follow(static_cast<int>(mysql_get_socket(handle_)), executor_, *shutdown) == 0; }
  void drop_socket() noexcept {
    hangup_.stop();
    if (timer_) timer_->stop();
    socket_.drop(*shutdown);
  }
  /// See `connection::watch()`.
  void watch(std::function<void()> gone) {
    hangup_.stop();
    if (gone && socket_) hangup_.start(executor_, socket_.get().native_handle(), std::move(gone));
  }
  /// `Lazy` is the parameter of the caller, which is a template (lazy.hpp); nothing here may be known before that is instantiated.
  template <class Lazy, class Failure>
  auto async_wait(wait_type direction, Failure& failed) {
    return socket_.get(direction).async_wait(direction, asio::redirect_error(await_token, failed));
  }
  asio::posix::stream_descriptor& socket() { return socket_.get(); }
  /// For one wait, while nothing else waits.
  asio::posix::stream_descriptor& socket(wait_type direction) { return socket_.get(direction); }
  wait_timer& timer() {
    if (!timer_) timer_ = std::make_shared<wait_timer>();
    return *timer_;
  }
  void forget_timer() noexcept {
    if (timer_) timer_->forget();
  }
  /// An idle session is sent nothing but the reason of its end.
  bool alive() noexcept {
    if (handle_ == nullptr || broken || !socket_ || shutdown->reason() != shutdown_reason::none) return false;
    pollfd look{socket_.get().native_handle(), POLLIN, 0};
    if (::poll(&look, 1, 0) == 0) return true;
    broken = true;
    if (ended.empty()) ended = "the server has ended the session while it was idle";
    return false;
  }

  // --- calls of the client library ---------------------------------------------------------------------------------------

  /// One that was suspended: how to go on. Null: none is.
  using continuation = int (*)(basic_session&, int);
  /// `begin` calls the client library's `..._start()`.
  template <class Begin>
  int start(Begin begin, continuation next) noexcept {
    if (encrypted) clear_tls_errors();
    const int status = begin();
    if (status != 0) suspended_ = next;
    return status;
  }
  int go_on(int events) noexcept {
    if (encrypted) clear_tls_errors();
    const int status = suspended_(*this, events);
    if (status == 0) suspended_ = nullptr;
    return status;
  }
  bool is_suspended() const noexcept { return suspended_ != nullptr; }
  /// Ends a call that nobody will wait for any more: without its socket it fails at once. Does not block.
  void abandon() noexcept {
    if (suspended_ == nullptr) return;
    broken = true;
    if (handle_ != nullptr) {
      const auto theirs = static_cast<int>(mysql_get_socket(handle_));
      if (theirs >= 0) ::shutdown(theirs, SHUT_RDWR);
    }
    for (int i = 0; i < 1000 && suspended_ != nullptr; ++i) (void)go_on(MYSQL_WAIT_TIMEOUT);
  }
  // What the calls return; here, because they are written when a call ends, whatever has become of the coroutine.
  int number = 0;
  my_bool flag = 0;
  MYSQL* opened = nullptr;
  MYSQL_RES* stored = nullptr;
  MYSQL_STMT* in_call = nullptr;  ///< whose call is under way

  // --- time limits -------------------------------------------------------------------------------------------------------

  void begin_limits() noexcept {
    each_ = connected ? settings_->response_timeout : duration(no_limit);
    whole_ = clock::time_point::max();
    stop.reset();
  }
  void each_within(duration limit) noexcept { each_ = std::min(each_, limit); }
  void all_within(duration limit) noexcept {
    each_within(limit);
    whole_ = later(clock::now(), limit);
  }
  duration each() const noexcept { return each_; }
  clock::time_point whole() const noexcept { return whole_; }
  bool watched() const noexcept { return each_ != no_limit || stop.has_value(); }
  void waits() noexcept { since_.store(tidepool::detail::driver::coarse_now().time_since_epoch().count(), std::memory_order_relaxed); }
  void waited() noexcept { since_.store(0, std::memory_order_relaxed); }
  clock::time_point waiting_since() const noexcept { return clock::time_point(clock::duration(since_.load(std::memory_order_relaxed))); }

  // --- what the session says ---------------------------------------------------------------------------------------------

  bool in_transaction() const noexcept { return handle_ != nullptr && (handle_->server_status & SERVER_STATUS_IN_TRANS) != 0; }
  /// An operation of the caller's is done and its answer read to the end.
  bool is_idle() const noexcept {
    return handle_ != nullptr && handle_->status == MYSQL_STATUS_READY && (handle_->server_status & SERVER_MORE_RESULTS_EXIST) == 0;
  }
  bool is_mariadb() const noexcept { return mariadb_connection(handle_) != 0; }
  /// Its buffer has grown for good.
  bool has_grown() const noexcept { return handle_ != nullptr && handle_->net.max_packet > settings_->retire_after_packet_bytes; }

  std::size_t memory_bytes() const noexcept { return sizeof(MYSQL) + settings_->stack_bytes + handle_->net.max_packet; }

  void note_answer() noexcept { last_answer = clock::real_now(); }
  failure failure_now(MYSQL_STMT* of = nullptr) const {
    failure out;
    out.any = true;
    if (of != nullptr && mysql_stmt_errno(of) == 0) of = nullptr;  // an error while rows are read is kept by the connection alone
    out.said.number = of != nullptr ? mysql_stmt_errno(of) : mysql_errno(handle_);
    out.said.sqlstate = of != nullptr ? mysql_stmt_sqlstate(of) : mysql_sqlstate(handle_);
    out.said.message = of != nullptr ? mysql_stmt_error(of) : mysql_error(handle_);
    if (out.said.number == 0) {  // the library did not say
      out.said.number = 2013;
      out.said.sqlstate = "HY000";
      out.said.message = "the connection was lost";
    }
    return out;
  }
  /// The error of a connection that is gone, with the best reason known.
  error lost(std::string_view doing, diagnosis said = {}) {
    broken = true;
    if (traced) traced->failed("connection_lost");
    std::string text(shutdown->words());
    const bool shut = shutdown->reason() != shutdown_reason::none;
    if (shut) said.message.clear();  // the library's words for what was done here
    if (text.empty() && !shut && ended.empty() && left != nullptr) {
      text = "the connection cannot be used any more: its " + std::string(left) + " was destroyed before its end";
    }
    if (text.empty()) {
      text = shutdown->reason() == shutdown_reason::aborted ? "the connection was aborted" : "the connection was lost";
      if (!doing.empty()) text += " " + std::string(doing);
    }
    if (ended.empty()) {
      ended = text + (said.message.empty() ? std::string() : ": " + printable(said.message, 200));
    } else if (said.message.empty() && !shut) {
      text = ended;
    }
    note_statement(said);
    return {errc::connection_lost, text, std::move(said)};
  }
  void note_statement(diagnosis& said) const {
    if (current == nullptr || !settings_->statement_in_errors) return;
    said.statement = printable(current->sql, 300);
    said.called_from = current->from;
  }
  std::string server_name() const { return "the server " + peer; }
  std::string why_broken() const {
    if (!ended.empty()) return ended;
    if (!shutdown->words().empty()) return std::string(shutdown->words());
    if (shutdown->reason() != shutdown_reason::none) return "the connection was aborted";
    if (outdated || wrong_role) return "the server takes no writes, which options::writable asks for";
    if (busy) return "an operation was not finished";
    if (cancels->in_flight.load() != 0) return "a KILL QUERY was under way";
    if (has_grown()) return "a large packet had grown its buffer";
    return {};
  }

  /// Ends the connection without waiting. The server ends its side when it sees the socket close.
  void finish() noexcept {
    abandon();
    const bool polite = !broken && is_idle() && shutdown->reason() == shutdown_reason::none;
    // Without the socket, closing cannot block: neither to send COM_QUIT nor to read an answer.
    if (handle_ != nullptr && !polite) {
      const auto theirs = static_cast<int>(mysql_get_socket(handle_));
      if (theirs >= 0) ::shutdown(theirs, SHUT_RDWR);
    }
    drop_socket();
    close_handle();
  }
  /// Sends COM_QUIT; the duplicate of the socket stays, to see when the server closes it.
  void close_handle() noexcept {
    if (handle_ == nullptr) return;
    mysql_close(std::exchange(handle_, nullptr));
    forget_statements();  // they are no longer of a connection, so that only their memory is freed
  }
  /// Frees the statements that the server does not have any more: after a reset, or the end.
  void forget_statements() noexcept {
    for (auto& each : prepared) (void)mysql_stmt_close(each.handle);
    prepared.clear();
    if (passing != nullptr) (void)mysql_stmt_close(std::exchange(passing, nullptr));
  }

 protected:
  ~basic_session() { finish(); }

 private:
  asio::any_io_executor executor_;
  std::shared_ptr<const options> settings_;
  socket_copy socket_;
  hangup_guard hangup_;                ///< ends before the socket
  std::shared_ptr<wait_timer> timer_;  ///< made with the first limit
  continuation suspended_ = nullptr;
  duration each_ = no_limit;
  clock::time_point whole_ = clock::time_point::max();
  std::atomic<clock::rep> since_{0};

 public:
  std::shared_ptr<socket_shutdown> shutdown = std::make_shared<socket_shutdown>();
  std::shared_ptr<cancel_record> cancels = std::make_shared<cancel_record>();
  std::optional<stopping> stop{};
  target where{};                   ///< for connections that cancel
  std::string peer{};               ///< the same, for reports
  std::string ended{};              ///< why it was lost
  clock::time_point last_answer{};  ///< when the server last answered
  const request* current = nullptr;
  const tidepool::detail::driver::statement_trace_ptr traced{tidepool::detail::driver::statement_trace_for(settings_->tracing)};
  bool connected = false;
  bool broken = false;       ///< never to be used again
  bool touched = false;      ///< something ran since the last reset
  bool busy = false;         ///< an operation is running
  bool held = false;         ///< by an object: a stream
  bool needs_reset = false;  ///< a cancelled transaction is open
  bool outdated = false;     ///< its server refused a write because it is read-only: so are all connections made before
  bool wrong_role = false;   ///< its server takes no writes
  bool encrypted = false;
  bool rolled_back_by_server = false;  ///< a deadlock: there is no transaction any more
  const char* named = nullptr;         ///< the verb that runs, for error texts
  const char* left = nullptr;          ///< an operation that was destroyed before its end
  unsigned long thread_id = 0;
  std::shared_ptr<address_memory> addresses{};
  tidepool::detail::driver::recency_list<prepared_statement> prepared;
  MYSQL_STMT* passing = nullptr;            ///< one that is not kept
  parameter_binds parameters;               ///< of the statement that runs
  row_reader reader;                        ///< the same
  std::optional<duration> cancel_within{};  ///< shorter than `cancel_timeout` while COMMIT runs
  std::uint64_t requests_sent = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
