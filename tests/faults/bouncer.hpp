// SPDX-License-Identifier: BSL-1.0
// tidepool - PgBouncer in front of a server, in transaction mode: the one that is installed, and the newest where that was unpacked.
#ifndef TIDEPOOL_TESTS_FAULTS_BOUNCER_HPP
#define TIDEPOOL_TESTS_FAULTS_BOUNCER_HPP

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "server.hpp"

namespace tidepool_faults {

/// `installed` is older than 1.21 on Debian 12 and does not know prepared statements; `newest` tracks them.
enum class edition { installed, newest };
inline std::string newest_bouncer() {
  const char* root = std::getenv("TIDEPOOL_PGBOUNCER_ROOT");
  return root == nullptr ? "" : root;
}

/// PgBouncer of our own; empty `conninfo` when it is not installed, or when no newer one was unpacked (tests/run.sh --long does).
class bouncer {
 public:
  explicit bouncer(const server& behind, edition which = edition::installed, std::vector<std::string> settings = {},
                   const std::string& name = "bouncer")
      : server_dir_(behind.dir()), dir_(yard() + "/" + name), settings_(std::move(settings)) {
    if (which == edition::newest) {
      if (newest_bouncer().empty()) return;
      settings_.insert(settings_.begin(), "root=" + newest_bouncer());
      settings_.emplace_back("max_prepared_statements=200");
    }
    start();
  }
  ~bouncer() { (void)run_program({servers_script(), "bouncer-stop", dir_}); }
  bouncer(const bouncer&) = delete;
  bouncer& operator=(const bouncer&) = delete;

  /// Returns when it took a session for the first time.
  moment start() {
    std::vector<std::string> command{servers_script(), "bouncer", server_dir_, dir_};
    command.insert(command.end(), settings_.begin(), settings_.end());
    const auto made = run_program(command, [this] { return accepts(); });
    if (made.status == 77) return made.at;
    if (made.status != 0) throw std::runtime_error("PgBouncer does not start");
    conninfo = made.output;
    return made.at;
  }
  bool accepts() const {
    try {
      return !conninfo.empty() && !ask(conninfo + " dbname=pgbouncer", "show version").empty();
    } catch (const std::exception&) {
      return false;
    }
  }
  void stop() const {
    if (run_program({servers_script(), "bouncer-stop", dir_}).status != 0) throw std::runtime_error("PgBouncer does not stop");
  }
  void tell(const std::string& command) const { (void)ask(conninfo + " dbname=pgbouncer", command); }
  /// How many of our sessions it holds.
  std::size_t clients() const {
    std::size_t count = 0;
    for (const auto& row : ask(conninfo + " dbname=pgbouncer", "show clients")) {
      bool ours = false;
      for (const auto& value : row) ours = ours || value == "faults";
      count += ours ? 1U : 0U;
    }
    return count;
  }

  std::string conninfo;

 private:
  std::string server_dir_;
  std::string dir_;
  std::vector<std::string> settings_;
};

}  // namespace tidepool_faults

#endif
