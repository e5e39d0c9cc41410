// SPDX-License-Identifier: BSL-1.0
// tidepool - the server of a simulation: its state, its sessions, and the probabilities of its faults.
#ifndef TIDEPOOL_TESTING_WORLD_HPP
#define TIDEPOOL_TESTING_WORLD_HPP

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "../version.hpp"
#include "simulation.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// What the server is doing.
enum class server_state {
  up,
  down,        ///< refuses connects (`failure_kind::refused`); going down ends all sessions
  starting,    ///< answers that it is starting up (`failure_kind::starting`); all sessions have ended
  hung,        ///< accepts everything and answers nothing
  full,        ///< refuses further connects because it has no room (`failure_kind::server_full`); sessions go on
  read_only,   ///< accepts connects; their sessions report that they are read-only
  unreachable  ///< connects fail without an answer (`failure_kind::transient`); all sessions have ended
};

/// The operations of a connection.
enum class operation : std::uint8_t { connect, ping, reset, close, query };
inline constexpr std::size_t operations = 5;
inline const char* to_string(operation what) noexcept {
  constexpr const char* names[] = {"connect", "ping", "reset", "close", "query"};
  return names[static_cast<int>(what)];
}

/// How one kind of operation behaves. Shares are probabilities from 0 to 1, drawn from the simulation's choice source at every operation;
/// with all of them 0, the default, it succeeds after `latency` and ends at once when cancelled. A plain value.
struct behaviour {
  using duration = virtual_clock::duration;

  duration latency = std::chrono::milliseconds(1);
  double slow = 0;  ///< takes `slow_latency` instead
  duration slow_latency = std::chrono::seconds(1);
  double on_the_edge = 0;  ///< ends 1 ns before, at, or 1 ns after `edge`: set it to a timeout of the code under test
  duration edge = std::chrono::seconds(1);

  double fails = 0;   ///< completes with an error
  double throws = 0;  ///< throws before it suspends, or when it is called
  double hangs = 0;   ///< never completes by itself

  double cancel_late = 0;      ///< ends `cancel_delay` after it was cancelled
  double cancel_ignored = 0;   ///< ignores cancellation
  double cancel_succeeds = 0;  ///< succeeds at once when cancelled
  duration cancel_delay = std::chrono::milliseconds(20);

  double dirties = 0;  ///< succeeds but leaves the session in need of a reset
  double dies = 0;     ///< the session dies after the operation, within `dies_within`
  duration dies_within = std::chrono::seconds(1);
};

/// The faults of a server. By default there are none.
struct fault_plan {
  std::array<behaviour, operations> of{};
  double permanent = 0;     ///< share of failed connects that are `failure_kind::permanent`
  double no_room = 0;       ///< share of failed connects that are `failure_kind::server_full`
  double wrong_role = 0;    ///< share of failed connects that are `failure_kind::wrong_role`
  double refused = 0;       ///< share of failed connects that are `failure_kind::refused`
  double unseen_death = 0;  ///< share of deaths that `usable()` does not see
  double mute_death = 0;    ///< share of deaths at which a running operation gets no answer, not even an error

  /// How this operation behaves.
  behaviour& operator[](operation what) noexcept { return of[static_cast<std::size_t>(what)]; }
  const behaviour& operator[](operation what) const noexcept { return of[static_cast<std::size_t>(what)]; }
};

/// Counters of a world.
struct world_counts {
  std::uint64_t connects = 0;    ///< attempts
  std::size_t connecting = 0;    ///< attempts under way
  std::size_t open = 0;          ///< sockets the client has not closed, those of attempts included
  std::uint64_t operations = 0;  ///< pings, resets, closes and queries
  std::size_t running = 0;       ///< operations under way, attempts included
  std::uint64_t faults = 0;      ///< of all kinds that a fault_plan knows, as far as they happened
};

namespace detail {

class fake_operation;
struct world_core;

/// One physical connection, as the server and the socket know it.
struct fake_session {
  std::shared_ptr<world_core> world;
  std::uint64_t id = 0;
  bool connected = false;          // the handshake is over
  bool closed_gracefully = false;  // close() succeeded: no operation may follow
  bool shut = false;               // the client closed its socket
  bool death_seen = false;         // it is dead, and the client can find out
  bool dirty = false;              // a transaction is open, settings are changed
  bool dirtied_by_user = false;    // ... by a query, or by begin_transaction()
  bool out_of_step = false;        // an operation ended before its answer came: the next reader gets that answer
  bool condemned = false;          // a ping or a reset failed: the pool must not hand it out again
  bool read_only = false;
  bool cancelled = false;  // the last operation was cancelled
  bool held = false;       // leased, as told by the test
  std::uint64_t last_answer = 0;
  virtual_clock::time_point connect_began{};
  virtual_clock::time_point connected_at{};
  virtual_clock::time_point last_round_trip{};
  virtual_clock::time_point operation_began{};
  operation latest = operation::connect;
  virtual_clock::time_point dies_at = (virtual_clock::time_point::max)();
  fake_operation* running = nullptr;

  bool is_dead() const noexcept { return virtual_clock::now() >= dies_at; }
  void close_socket() noexcept;
};

/// Shared by the world, its connector and all sessions, so that they may be destroyed in any order.
struct world_core {
  simulation* owner = nullptr;
  server_state state = server_state::up;
  fault_plan plan;
  world_counts counts;
  std::vector<fake_session*> sessions;  // those whose socket is open
  std::uint64_t last_id = 0;
  std::function<void(const std::string&)> on_violation;
  std::vector<std::string> violations;

  choice_source& choices() const noexcept { return owner->choices(); }
  bool fault(double share) {
    const bool happens = choices().chance(share);
    counts.faults += happens;
    return happens;
  }
  void violation(const std::string& what) {
    if (on_violation) return on_violation(what);
    violations.push_back(what);
  }
};

inline void fake_session::close_socket() noexcept {
  if (shut) return;
  shut = true;
  --world->counts.open;
  if (!connected) --world->counts.connecting;
  std::erase(world->sessions, this);
}

}  // namespace detail

class fake_connector;

/// A server in a simulation. Give `connector()` to a pool; change `state()` and `plan()` at any time. The simulation must outlive every
/// call; otherwise world, pool, connections and simulation may be destroyed in any order.
class world {
 public:
  explicit world(simulation& owner) : core_(std::make_shared<detail::world_core>()) { core_->owner = &owner; }

  /// Makes `fake_connection`s; for other kinds see `basic_fake_connector`.
  fake_connector connector() const;
  const std::shared_ptr<detail::world_core>& core() const noexcept { return core_; }

  /// Its state; a new one that ends sessions ends them at once.
  server_state state() const noexcept { return core_->state; }
  void state(server_state next) {
    core_->state = next;
    if (next == server_state::down || next == server_state::starting || next == server_state::unreachable) kill_sessions();
  }
  /// What goes wrong from now on; to be changed at any time.
  fault_plan& plan() noexcept { return core_->plan; }
  /// The server ends every session.
  void kill_sessions();
  /// The server ends a share of them, each drawn by itself.
  void kill_sessions(double share);

  const world_counts& counts() const noexcept { return core_->counts; }
  /// Faults of the code that uses the connections: two operations at once, an operation under a lock or on a closed connection, an
  /// operation of the pool on a leased one (see `basic_fake_connection::held`).
  const std::vector<std::string>& violations() const noexcept { return core_->violations; }
  /// Called with each violation at once; they are then not collected.
  void on_violation(std::function<void(const std::string&)> f) { core_->on_violation = std::move(f); }

 private:
  std::shared_ptr<detail::world_core> core_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#include "fake_operation.hpp"

#endif
