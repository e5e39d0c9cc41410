// SPDX-License-Identifier: BSL-1.0
// tidepool - login steps that compute for long run on a thread, and a refusal of TLS is told from a lost connection.
//
// The server decides how long SCRAM computes: 4096 rounds take 3 ms, five million take seconds, and libpq computes them within one call.
#ifndef TIDEPOOL_POSTGRES_DETAIL_LOGIN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_LOGIN_HPP

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "perform.hpp"
#include "side_thread.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Logins that go on computing although their coroutine is gone. A hostile server can make each last for many minutes, and a thread cannot
/// be stopped: at this many, no new login that needs a password is begun.
inline constexpr int most_abandoned_logins = 4;
template <class = void>
inline std::atomic<int>& abandoned_logins() noexcept {
  static std::atomic<int> count{0};
  return count;
}

/// Whether the next step may be a costly one: the server has asked for a password, and not accepted it yet.
template <class = void>
inline bool may_compute(PGconn* connection) noexcept {
  const auto status = PQstatus(connection);
  return PQconnectionUsedPassword(connection) == 1 && status != CONNECTION_AUTH_OK && status != CONNECTION_OK;
}

/// A step on a thread. Its atomic stage tells whether the thread or the coroutine ended first.
template <class = void>
class basic_login_step {
 public:
  enum class stage { running, finished, abandoned };

  void run(PGconn* connection) noexcept {
    next_ = PQconnectPoll(connection);
    if (stage_.exchange(stage::finished, std::memory_order_acq_rel) == stage::abandoned) abandoned_logins().fetch_sub(1);
  }
  bool finished() const noexcept { return stage_.load(std::memory_order_acquire) == stage::finished; }
  PostgresPollingStatusType next() const noexcept { return next_; }
  void abandon() noexcept {
    abandoned_logins().fetch_add(1);
    auto expected = stage::running;
    if (!stage_.compare_exchange_strong(expected, stage::abandoned, std::memory_order_acq_rel)) abandoned_logins().fetch_sub(1);
  }

 private:
  std::atomic<stage> stage_{stage::running};
  PostgresPollingStatusType next_ = PGRES_POLLING_FAILED;
};
using login_step = basic_login_step<>;

/// Held by the coroutine while `PQconnectPoll` runs on a thread. Where the coroutine ends first, the session stays with the thread, without
/// its I/O object, which belongs to the execution context.
template <class = void>
class basic_login_step_guard {
 public:
  basic_login_step_guard(session_ptr s, std::shared_ptr<login_step> step) noexcept : session_(std::move(s)), step_(std::move(step)) {}
  basic_login_step_guard(const basic_login_step_guard&) = delete;
  basic_login_step_guard& operator=(const basic_login_step_guard&) = delete;
  ~basic_login_step_guard() {
    if (step_->finished()) return;
    session_->leave_context();
    step_->abandon();
  }

 private:
  session_ptr session_;
  std::shared_ptr<login_step> step_;
};
using login_step_guard = basic_login_step_guard<>;

/// `PQconnectPoll` on a thread, until `until` at the latest; after that, and when cancelled, the session cannot be used any more.
template <class = void>
inline asio::awaitable<PostgresPollingStatusType> poll_on_thread(session_ptr s, asio::any_io_executor executor, clock::time_point until) {
  if (abandoned_logins().load() >= most_abandoned_logins) {
    throw connect_error(errc::connect_failed,
                        s->peer + ": too many logins are still being computed that were given up: see the server's SCRAM iterations");
  }
  const auto step = std::make_shared<login_step>();
  real_timer timer(executor);
  std::weak_ptr<tidepool::detail::gate> waiting;
  std::shared_ptr<tidepool::detail::gate_opener> opener;
  {
    // The timer's handler keeps the gate alive; the thread does not (see gate).
    const auto keeper = std::make_shared<tidepool::detail::gate_keeper>();
    waiting = keeper->waiting();
    opener = keeper->opener();
    timer.expires_at(until);
    timer.async_wait([keeper](error_code) { keeper->open(); });
  }
  const bool started = on_side_thread([s, step, opener]() mutable noexcept {
    step->run(s->pg());
    s.reset();
    opener->open();
  });
  if (!started) throw connect_error(errc::connect_failed, s->peer + ": no thread could be started for the login");
  const login_step_guard hold(s, step);
  co_await tidepool::detail::gate::wait(waiting);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) throw system_error(asio::error::make_error_code(asio::error::operation_aborted));
  if (!step->finished()) throw connect_error(errc::connect_timeout, s->peer + ": the login takes too long to compute");
  co_return step->next();
}

// --- TLS --------------------------------------------------------------------------------------------------------------

/// Tells a refusal of TLS from a connection that is lost, or damaged, while TLS is negotiated: only what would be the same next time is a
/// refusal. libpq's text is translated into the user's language. So this looks at the server's answer, at OpenSSL's words, which are
/// never translated, and at the names that libpq quotes.
template <class = void>
class basic_tls_refusal_check {
 public:
  /// Before each step.
  void look(session& s) noexcept {
    negotiating_ = PQstatus(s.pg()) == CONNECTION_SSL_STARTUP;
    encrypted_ = negotiating_ || PQsslInUse(s.pg()) == 1;
    if (!negotiating_ || answered_) return;
    std::array<char, 2> first{};
    const auto got = ::recv(s.socket().native_handle(), first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got <= 0) return;
    answered_ = true;
    denied_ = first[0] == 'N';
    // No byte may follow the server's yes before the client has sent more (CVE-2021-23222).
    injected_ = first[0] == 'S' && got > 1;
    other_ = first[0] == 'E';
  }
  /// After a step that failed, with libpq's text.
  bool refused(const session& s, const std::string& host, std::string_view words) const {
    if (negotiating_ && (denied_ || injected_)) return true;
    if (!encrypted_ || other_) return false;
    for (const std::string_view sign :
         {"certificate verify failed", "alert unknown ca", "alert bad certificate", "alert unsupported certificate", "alert certificate",
          "alert access denied", "alert handshake failure"}) {
      if (words.find(sign) != std::string_view::npos) return true;
    }
    if (!negotiating_) return false;
    // The first thing quoted is the server that was tried; the second its name, where the certificate has another one.
    const auto opened = words.find('"');
    const auto closed = opened == std::string_view::npos ? opened : words.find('"', opened + 1);
    if (!host.empty() && closed != std::string_view::npos && words.find(quoted(host), closed + 1) != std::string_view::npos) return true;
    for (const char* file : {"sslrootcert", "sslcert", "sslkey", "sslcrl"}) {
      const std::string name(s.settings().get(file));
      if (!name.empty() && words.find(quoted(name)) != std::string_view::npos) return true;
    }
    return words.find("/.postgresql/") != std::string_view::npos;
  }

 private:
  static std::string quoted(const std::string& name) { return '"' + name + '"'; }

  bool answered_ = false;  ///< the request for TLS
  bool denied_ = false;
  bool injected_ = false;
  bool other_ = false;
  bool negotiating_ = false;
  bool encrypted_ = false;
};
using tls_refusal_check = basic_tls_refusal_check<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
