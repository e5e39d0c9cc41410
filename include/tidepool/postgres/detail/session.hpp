// SPDX-License-Identifier: BSL-1.0
// tidepool - the state of one connection: libpq's object, its socket on the event loop, and what is known of the session.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SESSION_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SESSION_HPP

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/driver/asio_io.hpp"
#include "../../detail/driver/gate.hpp"
#include "../../detail/driver/hangup_watch.hpp"
#include "../../detail/driver/statement_trace.hpp"
#include "../../version.hpp"
#include "../error.hpp"
#include "../notification.hpp"
#include "../options.hpp"
#include "../result.hpp"
#include "cancel_request.hpp"
#include "request.hpp"
#include "result_origin.hpp"
#include "session_base.hpp"
#include "socket_copy.hpp"
#include "socket_shutdown.hpp"
#include "statement_cache.hpp"
#include "statement_text.hpp"
#include "time_limits.hpp"
#include "tls_pending.hpp"
#include "usual_slips.hpp"
#include "wait_timer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {
template <class>
class basic_address_memory;
}

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail {

using address_memory = tidepool::detail::driver::basic_address_memory<void>;

/// The state of one connection. Never moves, because libpq holds its address for notices. One operation at a time uses it; only `shutdown`,
/// `cancels` and `limits.waiting_since()` may be used from other threads.
template <class>
class basic_session : public session_base {
 public:
  basic_session(asio::any_io_executor executor, std::shared_ptr<const options> settings)
      : executor_(std::move(executor)),
        settings_(std::move(settings)),
        shutdown(std::make_shared<socket_shutdown>()),
        limits(settings_->response_timeout, settings_->target()),
        prepared(settings_->statement_cache),
        traced(tidepool::detail::driver::statement_trace_for(settings_->tracing)) {}
  basic_session(const basic_session&) = delete;
  basic_session& operator=(const basic_session&) = delete;

  const options& settings() const noexcept { return *settings_; }
  const asio::any_io_executor& executor() const noexcept { return executor_; }
  bool has_socket() const noexcept { return bool(socket_); }

  /// Takes a connection that `PQconnectStart*` made, before anything was received.
  void adopt(PGconn* connection) {
    pg_ = connection;
    PQsetNoticeReceiver(pg_, &basic_session::receive_notice, this);
    PQsetErrorVerbosity(pg_, PQERRORS_VERBOSE);  // the only way to see the SQLSTATE of a failed connect
  }

  /// After the login. From here on errors have fields, so libpq's text holds only severity and SQLSTATE in one line, and no row contents.
  void settled() noexcept {
    PQsetErrorVerbosity(pg_, PQERRORS_SQLSTATE);
    if (settings_->statement_in_errors) keep_origins(pg_);
  }

  /// Makes Asio watch the socket that libpq uses now. Cheap when it is still the same.
  void follow_socket() {
    const int failure = socket_.follow(PQsocket(pg_), executor_, *shutdown);
    if (failure == 0) return;
    throw connect_error(errc::connect_failed,
                        "no file descriptor left: " + error_code(failure, tidepool::detail::system_category()).message());
  }
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
  /// Before a thread becomes its only owner: it then holds nothing of the execution context, and may outlive it.
  void leave_context() noexcept {
    drop_socket();
    executor_ = asio::any_io_executor();
  }
  /// `Lazy` is the parameter of the caller, which is a template (lazy.hpp); nothing here may be known before that is instantiated.
  template <class Lazy, class Failure>
  auto async_wait(asio::posix::stream_descriptor::wait_type direction, Failure& failure) {
    return socket_.get(direction).async_wait(direction, asio::redirect_error(tidepool::detail::await_token, failure));
  }
  asio::posix::stream_descriptor& socket() { return socket_.get(); }
  /// For one wait, while nothing else waits.
  asio::posix::stream_descriptor& socket(asio::posix::stream_descriptor::wait_type direction) { return socket_.get(direction); }
  /// Bounds waits.
  wait_timer& timer() {
    if (!timer_) timer_ = std::make_shared<wait_timer>();
    return *timer_;
  }
  void forget_timer() noexcept {
    if (timer_) timer_->forget();
  }
  /// After every wait for the server that began with `limits.waits()`.
  [[gnu::always_inline]] void waited() noexcept {
    limits.waited();
    if (shutdown->reason() != shutdown_reason::none) end_on_server();
  }
  /// For reports.
  std::string server_name() const {
    if (!peer.empty()) return "the server " + peer;
    const char* const host = PQhost(pg_);
    const char* const port = PQport(pg_);
    return "the server " + printable(host == nullptr ? "" : host, 80) + ":" + printable(port == nullptr ? "" : port, 10);
  }

  /// Polls without waiting; -1 when there is no socket.
  int readable() const noexcept {
    if (!socket_) return -1;
    pollfd look{const_cast<socket_copy&>(socket_).get().native_handle(), POLLIN, 0};
    return ::poll(&look, 1, 0);
  }

  /// Parses what libpq has received after the end of the last statement: no system call. False when the session has ended, which can arrive
  /// in one packet with an answer.
  bool sound() noexcept {
    (void)PQisBusy(pg_);  // parses
    take_notifications();
    unread = false;
    if (PQstatus(pg_) == CONNECTION_OK && fatal.message.empty() && !out_of_step_ && !broken) return true;
    broken = true;
    return false;
  }
  /// False when more answers have come than statements were sent: one of them may have been taken for another statement's answer.
  bool in_step() noexcept {
    (void)sound();
    return !out_of_step_;
  }
  /// True when the connection is open and no error has arrived on it. The end of a terminated backend shows only on the second read. A
  /// burst (of notifications) is read in parts, so that the event loop can serve others; the rest is read the next time.
  bool alive() noexcept {
    if (pg_ == nullptr || broken || shutdown->reason() != shutdown_reason::none || PQstatus(pg_) != CONNECTION_OK) return false;
    for (int reads = 0; sound(); ++reads) {
      const int ready = readable();
      if ((ready == 0 && !tls_pending(pg_)) || reads == most_reads) return true;
      if (ready < 0 || PQconsumeInput(pg_) == 0) {
        (void)sound();  // why
        break;
      }
    }
    broken = true;
    return false;
  }

  /// libpq's buffers grow to the largest message and never shrink: a connection that has received one above the limit is retired at the end
  /// of its lease. Many small rows are many small messages.
  void note_size(std::size_t message) noexcept {
    largest_received_ = std::max(largest_received_, message);
    if (message > settings_->retire_after_result_bytes) retire = true;
  }
  /// Looks at each row of a result only where it may hold a message that matters, or is larger than all before.
  void note_size(const PGresult* got) noexcept {
    const std::size_t all = PQresultMemorySize(got);
    if (retire || (all <= looked_at_ && all <= settings_->retire_after_result_bytes)) return;
    looked_at_ = std::max(looked_at_, all);
    const int rows = PQntuples(got);
    const int columns = PQnfields(got);
    if (rows == 0) note_size(all);  // an error or a notice is one message
    for (int row = 0; row < rows && !retire; ++row) {
      std::size_t message = 0;
      for (int column = 0; column < columns; ++column) message += 4U + static_cast<std::size_t>(PQgetlength(got, row, column));
      note_size(message);
    }
  }
  void note_sent_size(std::size_t bytes) noexcept {
    largest_sent_ = std::max(largest_sent_, bytes);
    if (bytes > settings_->retire_after_sent_bytes) retire = true;
  }

  /// See `connection::memory_bytes()`.
  std::size_t memory_bytes() const noexcept {
    constexpr std::size_t plain = 37'000, tls = 68'000, buffer = std::size_t{16} << 10U, statement = 500;
    const auto grown = [](std::size_t largest) { return largest > buffer ? std::bit_ceil(largest) - buffer : 0; };
    return plain + (PQsslInUse(pg_) == 1 ? tls : 0) + grown(largest_received_) + grown(largest_sent_) + prepared.size() * statement;
  }

  /// Without memory for a notification the session is given up: a listener then connects again, and its user looks for what was missed.
  void take_notifications() noexcept {
    while (PGnotify* got = PQnotifies(pg_)) {
      try {
        if (listening) inbox.push_back({got->relname, got->extra == nullptr ? "" : got->extra, got->be_pid});
      } catch (...) {
        broken = true;
      }
      PQfreemem(got);
    }
  }

  /// For a statement that is to be prepared behind a pooler that tracks them. Such a pooler knows a name from the moment it reads the
  /// Parse, whatever becomes of it, prepares it wherever it is missing, and ends a connection that sends the Parse of a name again.
  /// False: it knows this one.
  bool name_at_pooler(const statement_id& id) {
    if (std::find(names_at_pooler_.begin(), names_at_pooler_.end(), id) != names_at_pooler_.end()) return false;
    names_at_pooler_.push_back(id);
    retire = retire || names_at_pooler_.size() >= most_at_pooler;
    return true;
  }
  /// The server has none of them any more, and no pooler either.
  void forget_statements() noexcept {
    prepared.clear();
    names_at_pooler_.clear();
  }
  /// After an answer: tells the statement cache what its command tags mean. `sql` is the text it answers, where that is known.
  void note_tags(const command_tags& tags, std::string_view sql) noexcept {
    if (tags.forgotten) forget_statements();
    const bool within = PQtransactionStatus(pg_) != PQTRANS_IDLE;
    if (tags.defined || creates(sql)) {
      prepared.outdate();
      if (within) parsing.changed(true);
    }
    if (tags.set) {
      const bool plans = may_change_plans(sql);
      const bool local = within && is_set_local(sql);
      if (plans && !local) prepared.outdate();
      if (plans && within) parsing.changed(true);
      if (may_change_meaning(sql, reports_path.value_or(false))) parsing.changed(local);
    }
  }
  void answered() noexcept {
    if (parsing.changed_until_the_end() && PQtransactionStatus(pg_) == PQTRANS_IDLE) parsing.transaction_ended();
  }

  /// Keeps the server's reason for ending the session. Where an operator ended it, that is an answer like any other: the connection was
  /// good.
  void note_fatal(diagnosis said) {
    if (said.told_to_end()) last_answer = clock::real_now();
    fatal = std::move(said);
  }

  /// The error of a connection that is gone, with the best reason known.
  error lost(std::string_view doing) {
    broken = true;
    if (traced) traced->failed("connection_lost");
    auto said = fatal;  // copied: later operations fail for the same reason
    const bool shut = shutdown->reason() != shutdown_reason::none;
    if (shut && said.sqlstate.empty()) said.message.clear();  // libpq's words for what was done here
    std::string text(shutdown->words());
    if (text.empty() && !shut && left != nullptr && ended.empty() && said.message.empty()) {
      text = "the connection cannot be used any more: its " + std::string(left) + " was destroyed before its end";
    }
    if (text.empty()) {
      text = shutdown->reason() == shutdown_reason::aborted ? "the connection was aborted" : "the connection was lost";
      if (!doing.empty()) text += " " + std::string(doing);
    }
    if (said.message.empty() && pg_ != nullptr && !shut) said.message = news(PQerrorMessage(pg_));
    if (ended.empty()) ended = error_text(text, said);
    note_statement(said);
    return {errc::connection_lost, text, std::move(said)};
  }

  /// Adds what is known of the statement that runs to an error about it, by `options::statement_in_errors`.
  void note_statement(diagnosis& said) const {
    if (current != nullptr && settings_->statement_in_errors) name_statement(said, *current);
  }
  void name_statement(diagnosis& said, const request& asked) const {
    said.statement = text_in_errors(asked);
    said.called_from = asked.from();
  }
  std::string text_in_errors(const request& asked) const {
    if (!asked.by_name()) return statement_text(asked.sql());
    const auto found = prepared_texts.find(std::string(asked.name()));
    return found == prepared_texts.end() ? "prepared as " + printable(asked.name(), 64) : found->second;
  }
  /// The same for an answer of the server, with the place in the statement and the usual slips; returns the words to begin with.
  std::string explain(diagnosis& said) const {
    if (current == nullptr) return {};
    const char* const conforming = PQparameterStatus(pg_, "standard_conforming_strings");
    note_statement(said);
    return explain_slip(said, *current, conforming != nullptr && std::string_view(conforming) == "off");
  }

  /// Why a pool does not keep this connection, for its events; empty when unknown.
  std::string why_broken() const {
    if (!ended.empty()) return ended;
    if (!fatal.message.empty()) return printable(fatal.message, 200) + (fatal.sqlstate.empty() ? "" : " (" + fatal.sqlstate + ")");
    if (!shutdown->words().empty()) return std::string(shutdown->words());
    if (shutdown->reason() != shutdown_reason::none) return "the connection was aborted";
    if (wrong_role || role_unconfirmed) return "the server is not, or no longer, what target_session_attrs asks for";
    if (busy) return "an operation was not finished";
    if (cancels->in_flight.load() != 0) return "a cancel request was under way";
    if (names_at_pooler_.size() >= most_at_pooler) return "its pooler keeps the names of too many statements for it";
    if (retire) return "a large result had grown its buffer";
    return {};
  }

  /// Sends Terminate and frees libpq's object. The socket stays open, to see when the server closes it.
  void finish_but_keep_socket() noexcept { PQfinish(std::exchange(pg_, nullptr)); }

  postgres::canceller canceller() const { return {std::make_shared<cancel_request>(pg_), cancels, settings_->cancel_timeout}; }

  /// Ends the connection without waiting: sends Terminate, closes the socket. A statement that still runs is cancelled in the background,
  /// because the server does not notice a closed socket before it has something to send.
  void finish() noexcept {
    drop_socket();
    if (pg_ == nullptr) return;
    cancel_on_server();
    PQfinish(std::exchange(pg_, nullptr));
  }

 protected:
  ~basic_session() { finish(); }

 private:
  /// Now, because libpq forgets whom to ask when it sees the end of the connection; once, because many waits may come before that, for what
  /// the socket has received already.
  [[gnu::noinline]] void end_on_server() noexcept {
    if (!std::exchange(end_asked_, true)) cancel_on_server();
  }
  /// Of a statement whose answer nobody reads any more.
  void cancel_on_server() noexcept {
    if (PQstatus(pg_) == CONNECTION_OK && fatal.message.empty() && PQtransactionStatus(pg_) == PQTRANS_ACTIVE) cancel_in_background(pg_);
  }

  static constexpr int most_reads = 4;  ///< of 16 kB or so

  /// libpq's error text accumulates: this is its last line that is no hint. Lines that came from the server (see `settled()`) were reported
  /// before, and give an empty text.
  static std::string news(std::string_view all) {
    std::string_view last;
    while (!all.empty()) {
      const auto line = first_line(all);
      if (!line.empty() && line.front() != '\t') last = line;
      all.remove_prefix(std::min(line.size() + 1, all.size()));
    }
    const bool of_the_server = last.size() > 8 && last.substr(last.size() - 8, 3) == ":  ";
    return std::string(of_the_server ? std::string_view() : last);
  }

  static void receive_notice(void* self, const PGresult* said) noexcept {
    auto& here = *static_cast<basic_session*>(self);
    try {
      const auto what = diagnosis::of(said);
      here.note_size(said);
      // Errors that arrive on an idle connection come only this way. So does the warning of a server that goes down as a whole, by a crash
      // or an immediate stop.
      if (what.server_down()) here.outdated = true;
      if (what.not_replicated()) here.unreplicated = here.retire = true;
      // Made by libpq itself: a message came that belongs to no statement.
      if (what.sqlstate.empty() && what.severity.empty()) here.out_of_step_ = true;
      if ((what.fatal() || what.server_down()) && here.fatal.message.empty()) here.note_fatal(what);
      if (here.settings().on_notice) {
        here.settings().on_notice(notice{what.severity, what.sqlstate, what.message, what.detail, what.hint});
      }
    } catch (...) {
      // Out of memory, or a hook that throws: an exception must not pass through libpq.
    }
  }

  asio::any_io_executor executor_;
  std::shared_ptr<const options> settings_;
  socket_copy socket_;
  tidepool::detail::hangup_guard hangup_;  ///< ends before the socket
  static constexpr std::size_t most_at_pooler = 2000;
  std::vector<statement_id> names_at_pooler_;
  bool out_of_step_ = false;
  std::size_t largest_received_ = 0;  ///< message; libpq's buffers keep room for it
  std::size_t largest_sent_ = 0;
  std::size_t looked_at_ = std::size_t{16} << 10U;  ///< the largest result whose rows were looked at
  bool end_asked_ = false;                          ///< of the server, for a statement whose socket was shut
  std::shared_ptr<wait_timer> timer_;               ///< made with the first limit

 public:
  std::shared_ptr<socket_shutdown> shutdown;
  time_limits limits;
  std::shared_ptr<cancel_record> cancels = std::make_shared<cancel_record>();
  diagnosis fatal = {};              ///< why the server ends the session
  std::string ended = {};            ///< the error with which it was lost
  clock::time_point last_answer{};   ///< when the server last answered
  const request* current = nullptr;  ///< the statement that runs, for errors; set by `put_request`
  bool broken = false;               ///< never to be used again
  bool unreplicated = false;         ///< it has committed something that no standby has confirmed, see `diagnosis::not_replicated()`
  bool touched = false;              ///< something ran since the last reset
  bool busy = false;                 ///< an operation is running
  bool unread = false;               ///< an operation has ended, and may have brought more than its answer
  bool needs_reset = false;          ///< a cancelled transaction is open
  bool retire = false;               ///< a large message has grown libpq's buffers for good, or a pooler keeps much for it
  bool outdated = false;             ///< its server has become the wrong kind, or is down: so are all connections made before
  bool wrong_role = false;           ///< its server is not, or no longer, what target_session_attrs asks for
  bool standby = false;              ///< its server was one when it was last asked
  bool role_unconfirmed = false;  ///< a write was refused where writes are wanted: the server is asked for its kind before the next lease
  bool pooled = false;            ///< a pooler is in between: each statement may meet another server process
  unsigned settings_given = 0;    ///< a bit for each of `settings_for()`
  int encoding = 0;               ///< libpq's number of the client_encoding that was checked last
  std::string peer = {};          ///< which server this is, for reports
  std::shared_ptr<address_memory> addresses = {};  ///< its connector's, where `peer` is one
  bool reads_only = false;                         ///< within a transaction that was begun read-only here
  bool listening = false;                          ///< keep notifications
  statement_cache prepared;
  const tidepool::detail::driver::statement_trace_ptr traced;
  parse_settings parsing = {};
  std::optional<bool> reports_path = {};  ///< whether the server reports changes of `search_path`; empty: not known yet
  std::uint64_t statements_named = 0;     ///< prepared so far
  duration cancel_within = no_limit;      ///< shorter than `cancel_timeout` while COMMIT runs: see `shorter_cancel`
  std::uint64_t requests_sent = 0;        ///< put on the wire so far
  std::deque<notification> inbox = {};
  std::map<std::string, std::string> prepared_texts = {};  ///< of `prepare()`, by name; only with `options::statement_in_errors`
  // For error texts alone.
  const char* named = nullptr;       ///< the verb whose operation is longer than one function; else `current` tells
  bool held = false;                 ///< and which an object keeps open, so that it need not end by itself
  const char* left = nullptr;        ///< an operation that was destroyed before its end
  std::string refused = {};          ///< the error of the latest second operation
  std::uint64_t refused_beside = 0;  ///< the `activity` of that time
};

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
