// SPDX-License-Identifier: BSL-1.0
// tidepool - the fleet that rig.sh has started around this program, and somebody who watches its servers.
#ifndef TIDEPOOL_TESTS_FLEET_FLEET_HPP
#define TIDEPOOL_TESTS_FLEET_FLEET_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tidepool_fleet {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using moment = clock::time_point;
using std::chrono::milliseconds;

inline double ms_between(moment a, moment b) { return std::chrono::duration<double, std::milli>(b - a).count(); }
inline void wait_for(milliseconds span) { std::this_thread::sleep_for(span); }

inline constexpr std::array<int, 3> nodes{2, 3, 4};
inline std::string address(int node) { return "127.0.0." + std::to_string(node); }

/// Whether this program runs within `rig.sh run`.
bool there();
/// A verb of rig.sh. Throws std::runtime_error when it fails.
void rig(const std::string& verb);
/// The node that is the primary by Patroni's word, waited for.
int leader();
/// Makes the tables, where they are not there yet.
void prepare();
/// Until there are a primary and two standbys.
void settle();
/// "127.0.0.2,127.0.0.3,127.0.0.4" with the rest of a connection string.
std::string all_hosts(int port = 5432);
/// A statement on the node itself; the cells of its rows. Throws std::runtime_error.
std::vector<std::vector<std::string>> on_node(int node, const std::string& sql);

/// Asks each server some fifty times a second what it is, with libpq alone, and commits something where it says that it is no standby.
/// What one of them confirmed, it was able to write.
class watcher {
 public:
  watcher();
  watcher(const watcher&) = delete;
  watcher& operator=(const watcher&) = delete;
  ~watcher();

  struct change {
    moment at{};
    int node = 0;
    bool writable = false;
  };
  /// All there was.
  std::vector<change> changes() const;
  /// The first time after `from` at which a server became writable, waited for; node 0: it did not within `most`.
  change writable_after(moment from, milliseconds most) const;
  /// Whether none is writable now.
  bool none_writable() const;

 private:
  void watch(int node);

  mutable std::mutex mutex_;
  std::vector<change> changes_;
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

/// A line of the table: printed, and written to the file of $TIDEPOOL_FLEET_TABLE.
void report(const std::string& row, const std::string& cells);

}  // namespace tidepool_fleet

#endif
