// SPDX-License-Identifier: BSL-1.0
// tidepool - a connection to a `world`: has every optional member that a pool uses, and fails as the world's plan says.
#ifndef TIDEPOOL_TESTING_FAKE_CONNECTION_HPP
#define TIDEPOOL_TESTING_FAKE_CONNECTION_HPP

#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include "../connection.hpp"
#include "../version.hpp"
#include "world.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// Which optional members a fake connection has.
struct fake_features {
  bool ping = true;
  bool reset = true;
  bool close = true;
  bool usable = true;
  bool abort = true;
  bool after_lease = true;
  bool last_round_trip = true;
};

/// A connection to a `world`, with the optional members of a connection type that `Features` names.
template <fake_features Features = fake_features{}>
class basic_fake_connection {
 public:
  using time_point = virtual_clock::time_point;

  explicit basic_fake_connection(std::shared_ptr<detail::fake_session> session) : session_(std::move(session)) {}
  basic_fake_connection(basic_fake_connection&& other) noexcept : session_(std::move(other.session_)) {}
  basic_fake_connection& operator=(basic_fake_connection&& other) noexcept {
    basic_fake_connection old(std::move(*this));
    session_ = std::move(other.session_);
    return *this;
  }
  ~basic_fake_connection() {
    if (!session_) return;
    checked_mutex::expect_unlocked("a connection is destroyed");
    shut();
  }

  // --- what a pool uses -----------------------------------------------------------------------------------------------------------

  /// As the reference says of these members of a connection.
  ///@{
  asio::awaitable<void> ping() requires(Features.ping) { return run(operation::ping); }
  asio::awaitable<void> reset() requires(Features.reset) { return run(operation::reset); }
  asio::awaitable<void> close() requires(Features.close) { return close_gracefully(begin(operation::close)); }
  bool usable() const noexcept requires(Features.usable) { return sound(); }
  void abort() noexcept requires(Features.abort) { shut(); }
  lease_end after_lease() const noexcept requires(Features.after_lease) {
    if (!sound()) return lease_end::broken;
    return session_->dirty ? lease_end::needs_reset : lease_end::clean;
  }
  time_point last_round_trip() const noexcept requires(Features.last_round_trip) { return session_->last_round_trip; }
  ///@}

  // --- what its user does -----------------------------------------------------------------------------------------------------------

  /// Sends `token` and returns the answer: the same token, unless an earlier answer was left unread. Throws `tidepool::system_error`.
  asio::awaitable<std::uint64_t> query(std::uint64_t token) { return ask(begin(operation::query), session_, token); }
  /// Leaves a transaction open: `reset()` ends it.
  void begin_transaction() noexcept { session_->dirty = session_->dirtied_by_user = true; }

  // --- what tests look at -----------------------------------------------------------------------------------------------------------

  std::uint64_t id() const noexcept { return session_->id; }
  bool open() const noexcept { return session_ && !session_->shut; }
  bool read_only() const noexcept { return session_->read_only; }
  const detail::fake_session& session() const noexcept { return *session_; }
  /// Tells whether it is leased. The world then reports operations of the pool on it, and a second holder, as violations.
  void held(bool now) {
    if (now && session_->held) session_->world->violation("a connection with two holders");
    session_->held = now;
  }

 private:
  bool sound() const noexcept { return !session_->shut && !session_->out_of_step && !(session_->is_dead() && session_->death_seen); }
  void shut() noexcept {
    session_->close_socket();
    if (session_->running) session_->running->socket_shut();
  }

  std::shared_ptr<detail::fake_operation> begin(operation what) { return std::make_shared<detail::fake_operation>(session_, what); }
  asio::awaitable<void> run(operation what) { return finish(begin(what)); }

  static asio::awaitable<void> finish(std::shared_ptr<detail::fake_operation> op) { co_await detail::fake_operation::await(std::move(op)); }
  asio::awaitable<void> close_gracefully(std::shared_ptr<detail::fake_operation> op) {
    const std::shared_ptr<detail::fake_session> session = session_;
    co_await detail::fake_operation::await(std::move(op));
    session->closed_gracefully = true;
    session->close_socket();
  }
  static asio::awaitable<std::uint64_t> ask(std::shared_ptr<detail::fake_operation> op, std::shared_ptr<detail::fake_session> session,
                                            std::uint64_t token) {
    const bool behind = session->out_of_step;
    const std::uint64_t unread = std::exchange(session->last_answer, token);
    co_await detail::fake_operation::await(std::move(op));
    co_return behind ? unread : token;
  }

  std::shared_ptr<detail::fake_session> session_;
};

using fake_connection = basic_fake_connection<>;

/// Connects to a world. A copyable callable that takes the pool's connect context.
template <class Connection>
class basic_fake_connector {
 public:
  explicit basic_fake_connector(const world& to) : core_(to.core()) {}

  template <class Context>
  asio::awaitable<Connection> operator()(const Context&) const {
    checked_mutex::expect_unlocked("a connect is started");
    auto session = std::make_shared<detail::fake_session>();
    session->world = core_;
    session->id = ++core_->last_id;
    session->connect_began = core_->owner->now();
    core_->sessions.push_back(session.get());
    ++core_->counts.connects;
    ++core_->counts.connecting;
    ++core_->counts.open;
    socket guard(session);
    auto op = std::make_shared<detail::fake_operation>(session, operation::connect);
    return shake_hands(std::move(guard), std::move(op));
  }

 private:
  // The socket of an attempt: closed with it.
  struct socket {
    explicit socket(std::shared_ptr<detail::fake_session> s) noexcept : session(std::move(s)) {}
    socket(socket&&) noexcept = default;
    socket& operator=(socket&&) = delete;
    ~socket() {
      if (session) session->close_socket();
    }
    std::shared_ptr<detail::fake_session> session;
  };

  static asio::awaitable<Connection> shake_hands(socket from, std::shared_ptr<detail::fake_operation> op) {
    error_code result;
    try {
      co_await detail::fake_operation::await(std::move(op));
    } catch (const system_error& e) {
      result = e.code();
    }
    detail::fake_session& s = *from.session;
    detail::world_core& w = *s.world;
    if (result) fail(w, result);
    s.connected = true;
    --w.counts.connecting;
    s.connected_at = s.last_round_trip = virtual_clock::now();
    co_return Connection(std::move(from.session));
  }

  [[noreturn]] static void fail(detail::world_core& w, error_code why) {
    auto kind = failure_kind::transient;
    if (w.state == server_state::full || w.fault(w.plan.no_room)) kind = failure_kind::server_full;
    if (w.state == server_state::starting) kind = failure_kind::starting;
    if (w.state == server_state::down || w.fault(w.plan.refused)) kind = failure_kind::refused;
    if (w.fault(w.plan.wrong_role)) kind = failure_kind::wrong_role;
    if (w.fault(w.plan.permanent)) kind = failure_kind::permanent;
    throw connect_error(kind, why.message());
  }

  std::shared_ptr<detail::world_core> core_;
};

class fake_connector : public basic_fake_connector<fake_connection> {
 public:
  using basic_fake_connector::basic_fake_connector;
};

inline fake_connector world::connector() const { return fake_connector(*this); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
