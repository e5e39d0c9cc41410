// SPDX-License-Identifier: BSL-1.0
// tidepool - the real pool under load, watched while faults happen. Nothing here pulls in Asio or the pool.
#ifndef TIDEPOOL_TESTS_FAULTS_RIG_HPP
#define TIDEPOOL_TESTS_FAULTS_RIG_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "processes.hpp"

namespace tidepool_faults {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// Longer than anything takes that works.
inline constexpr auto hang = 150s;
/// Whether the long rows run as well.
bool long_mode();

/// The set-up all figures are for, unless a test says otherwise.
struct setup {
  std::string conninfo;
  std::string application = "faults";
  std::size_t min = 4;
  std::size_t max = 8;
  int callers = 40;
  milliseconds think{160};  ///< between two requests of one caller: 40 callers make some 200 requests a second
  std::string statement = "select pg_sleep(0.005), 4711";
  bool writes = false;  ///< the statement is a write without a result
  milliseconds acquire_timeout{2000};
  milliseconds query_timeout{4000};  ///< the caller's own limit
  milliseconds response_timeout{0};  ///< the driver's, and half of it to cancel; 0: none
  milliseconds cancel_timeout{0};    ///< another one than that, or than 500 ms
  milliseconds connect_timeout{1000};
  milliseconds validation_timeout{250};
  milliseconds alive_bypass{500};
  milliseconds health_check_interval{2000};
  std::size_t breaker_threshold = 8;
  bool reset_full = false;
  bool lazy = false;
  bool wait_when_refused = true;
  bool as_delivered = false;  ///< the pool's and the driver's defaults but for the acquire timeout, the caller's limit and the name
  std::function<std::string()> password = {};  ///< asked at every connect
  /// What every connection string gets, so that the kernel notices silent peers.
  std::string sockets = " tcp_user_timeout=3000 keepalives_idle=2 keepalives_interval=1 keepalives_count=2";
};

enum class ending { ok, no_lease, lost, refused, late, wrong };

/// One request of a caller, from acquire to release.
struct request_log {
  moment begun;
  moment granted;  ///< or when the acquire failed
  moment ended;
  ending how = ending::ok;
  int backend = 0;
  std::uint64_t token = 0;  ///< no two requests of this process have the same
  std::string why;
};

/// What the pool said of itself.
struct counts {
  std::size_t total = 0, active = 0, idle = 0, connecting = 0, upkeep = 0, waiting = 0;
  std::uint64_t connects_started = 0, connection_errors = 0, created = 0, closed = 0, checkouts = 0, validations = 0;
  std::string state;
  std::string breaker;
};

class rig {
 public:
  /// Builds the pool on an event loop of its own thread; nothing is opened yet.
  explicit rig(setup wanted);
  /// Stops the load, closes the pool, ends the loop.
  ~rig();
  rig(const rig&) = delete;
  rig& operator=(const rig&) = delete;

  /// Starts the callers and waits until `count` requests have succeeded; false when that takes too long.
  bool start(int count = 80);
  /// Waits until `count` more requests have succeeded.
  bool await_successes(int count, milliseconds limit = hang);
  /// Stops the load and waits until every caller has ended: false means that one hangs.
  bool stop();

  counts stats() const;
  /// What went wrong with the last `open()` or request, in the words of the exception; empty when all was well.
  std::string last_error() const;
  std::vector<request_log> requests() const;
  /// One acquire and one statement, outside of the load.
  request_log request_now(milliseconds timeout, const std::string& statement = "");

  /// When the pool first reported to its observer, at or after `from`, that a connection broke or could not be made.
  moment first_failure(moment from) const;
  /// When the peer of one of the pool's connections first closed it, at or after `from`, as seen by the kernel.
  moment first_hang_up(moment from) const;
  /// Every text the pool told its observer.
  std::string told() const;

  /// Waits until nothing moves in the idle pool and takes all its idle connections at once: their server processes.
  std::set<int> backends();
  /// The same, until it is exactly what the server sees: nothing is lost on either side. An explanation when it does not come to that.
  std::string difference(const std::function<std::set<int>()>& seen_by_server);
  template <class Server>
  requires requires(const Server& at) { at.sessions(std::string()); }
  std::string difference(const Server& at) {
    return difference([&] { return at.sessions(application()); });
  }
  const std::string& application() const;

  /// The longest time the event loop did nothing, not counting time in which it wanted to run and got no processor; since `from`.
  milliseconds longest_gap(moment from) const;
  /// The longest time an acquire took beyond its deadline, since `from`.
  milliseconds latest(moment from) const;
  /// Asks the pool to close and waits; how long it took.
  milliseconds close(milliseconds grace);

 private:
  struct inside;
  std::unique_ptr<inside> in_;
};

/// How a row went, from the log of requests.
struct verdict {
  moment hit{};                ///< when the fault came
  moment cure{};               ///< when its cause was gone; the same for faults that are over at once
  double detect_ms = -1;       ///< to the first sign of the pool
  double recover_ms = -1;      ///< from the cure until requests succeed and no later one fails
  std::uint64_t requests = 0;  ///< that ended between the fault and the end of watching
  std::uint64_t failed = 0;
  std::uint64_t running = 0;  ///< of these: had a connection already when the fault came, or when their backend died
  std::uint64_t wrong = 0;
  double latest_ms = 0;  ///< the latest acquire, beyond its deadline
  double gap_ms = 0;     ///< the loop's longest gap
  std::string first_failure;
  std::string first_refusal;  ///< of a caller who had no connection
};
verdict judge(const rig& watched, moment hit, moment cure);

/// Prints a row, and fills it into the table where TIDEPOOL_FAULTS_TABLE names its file.
void report(const std::string& row, const verdict& measured, const std::string& remark = "");
/// The same for a row that this machine cannot run.
void report_skipped(const std::string& row, const std::string& reason);

}  // namespace tidepool_faults

#endif
