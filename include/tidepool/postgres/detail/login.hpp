// tidepool - one step of libpq's login, taken where it can do no harm.
//
// SCRAM computes as long as the server likes: 4096 rounds take 3 ms, five million take seconds, and libpq computes them within one call.
#ifndef TIDEPOOL_POSTGRES_DETAIL_LOGIN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_LOGIN_HPP

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "perform.hpp"
#include "side_thread.hpp"

namespace tidepool::postgres::detail {

/// Logins that go on computing although nobody waits for them any more. A hostile server can make each last for many minutes, and
/// nothing stops it: when there are so many, no new one that needs a password is begun.
inline constexpr int most_stray_logins = 4;
inline std::atomic<int>& stray_logins() noexcept {
  static std::atomic<int> count{0};
  return count;
}

/// Whether the next step may be a costly one: the server has asked for a password, and not accepted it yet.
inline bool may_compute(PGconn* connection) noexcept {
  const auto status = PQstatus(connection);
  return PQconnectionUsedPassword(connection) == 1 && status != CONNECTION_AUTH_OK && status != CONNECTION_OK;
}

/// A step on its thread. Whoever leaves first tells the other.
class login_step {
 public:
  enum class stage { running, finished, abandoned };

  void run(PGconn* connection) noexcept {
    next_ = PQconnectPoll(connection);
    if (stage_.exchange(stage::finished, std::memory_order_acq_rel) == stage::abandoned) stray_logins().fetch_sub(1);
  }
  bool finished() const noexcept { return stage_.load(std::memory_order_acquire) == stage::finished; }
  PostgresPollingStatusType next() const noexcept { return next_; }
  void abandon() noexcept {
    stray_logins().fetch_add(1);
    auto expected = stage::running;
    if (!stage_.compare_exchange_strong(expected, stage::abandoned, std::memory_order_acq_rel)) stray_logins().fetch_sub(1);
  }

 private:
  std::atomic<stage> stage_{stage::running};
  PostgresPollingStatusType next_ = PGRES_POLLING_FAILED;
};

/// `PQconnectPoll` on a thread. A coroutine that leaves before it is done leaves the session to the thread, without the I/O object,
/// which belongs to the context.
class login_hold {
 public:
  login_hold(session_ptr s, std::shared_ptr<login_step> step) noexcept : session_(std::move(s)), step_(std::move(step)) {}
  login_hold(const login_hold&) = delete;
  login_hold& operator=(const login_hold&) = delete;
  ~login_hold() {
    if (step_->finished()) return;
    session_->leave_context();
    step_->abandon();
  }

 private:
  session_ptr session_;
  std::shared_ptr<login_step> step_;
};

/// At most until `until`; then, and when cancelled, the session is of no more use.
inline asio::awaitable<PostgresPollingStatusType> poll_on_thread(session_ptr s, asio::any_io_executor executor, clock::time_point until) {
  if (stray_logins().load() >= most_stray_logins) {
    throw connect_error(errc::connect_failed,
                        "too many logins are still being computed that were given up: see the server's SCRAM iterations");
  }
  const auto step = std::make_shared<login_step>();
  asio::steady_timer timer(executor);
  std::weak_ptr<tidepool::detail::gate> waiting;
  {
    // The timer's handler keeps the gate alive; the thread does not (see gate).
    const auto gate = std::make_shared<tidepool::detail::gate>();
    waiting = gate;
    timer.expires_at(until);
    timer.async_wait([gate](error_code) { gate->open(); });
  }
  const bool started = on_side_thread([s, step, waiting]() mutable noexcept {
    step->run(s->pg());
    s.reset();
    if (const auto gate = waiting.lock()) gate->open();
  });
  if (!started) throw connect_error(errc::connect_failed, "no thread is to be had for the login");
  const login_hold hold(s, step);
  co_await tidepool::detail::gate::wait(waiting);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    throw std::system_error(asio::error::make_error_code(asio::error::operation_aborted));
  if (!step->finished()) throw connect_error(errc::connect_timeout, "the login takes too long to compute");
  co_return step->next();
}

// --- TLS --------------------------------------------------------------------------------------------------------------

/// Tells a refusal of TLS, by either side, from a connection that is lost while TLS is negotiated. libpq has only words for both, in
/// the user's language, so this looks at the socket; the words of OpenSSL, which are never translated, say the rest.
class tls_witness {
 public:
  /// Before each step.
  void look(session& s) noexcept {
    negotiating_ = PQstatus(s.pg()) == CONNECTION_SSL_STARTUP;
    encrypted_ = negotiating_ || PQsslInUse(s.pg()) == 1;
    if (!negotiating_ || answer_ != '\0') return;
    char first = '\0';
    if (::recv(s.socket().native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1) answer_ = first;
  }
  /// After a step that failed, with libpq's words.
  bool refused(session& s, std::string_view words) const noexcept {
    constexpr char handshake = '\x16';
    constexpr char alert = '\x15';
    if (negotiating_ && answer_ == 'N') return true;
    if (negotiating_ && answer_ != 'S' && answer_ != handshake && answer_ != alert) return false;
    if (!encrypted_) return false;
    for (const std::string_view sign : {"certificate verify failed", " alert "}) {
      if (words.find(sign) != std::string_view::npos) return true;
    }
    return negotiating_ && peer_is_there(s);
  }

 private:
  /// Then it was this side that gave up: the name, the certificate, its dates, or the protocol was not as asked for.
  static bool peer_is_there(session& s) noexcept {
    if (!s.has_socket()) return false;
    char first = '\0';
    const auto got = ::recv(s.socket().native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
  }

  char answer_ = '\0';  ///< to the request for TLS
  bool negotiating_ = false;
  bool encrypted_ = false;
};

}  // namespace tidepool::postgres::detail

#endif
