// SPDX-License-Identifier: BSL-1.0
// tidepool - servers that the fault tests start, hurt and stop.
#ifndef TIDEPOOL_TESTS_FAULTS_SERVER_HPP
#define TIDEPOOL_TESTS_FAULTS_SERVER_HPP

#include <sys/types.h>

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "processes.hpp"

namespace tidepool_faults {

/// tests/support/postgres_server.sh
std::string postgres_script();

/// Why this machine can run no server of its own; empty when it can.
std::string no_server_reason();

using rows = std::vector<std::vector<std::string>>;
/// The server starts up, goes down, or has just ended the session because of that.
struct not_ready : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// One statement by libpq's blocking calls; throws `not_ready`, or std::runtime_error, with the server's message.
rows ask(const std::string& conninfo, const std::string& sql);

/// A PostgreSQL of our own, started by the constructor. It signals only processes that it has started itself.
class server {
 public:
  explicit server(const std::string& name);
  /// A server whose files are there already.
  server(const std::string& name, std::string conninfo);
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  const std::string& dir() const { return dir_; }
  /// Over TCP, without TLS.
  const std::string& conninfo() const { return conninfo_; }
  unsigned port() const;
  /// As superuser, over the local socket.
  std::string admin_conninfo() const;
  /// Asks again while the server is not ready: another process may still be at the cleaning up after the last fault.
  rows admin(const std::string& sql) const;

  /// Returns when it took a session for the first time.
  moment start();
  /// A standby becomes the primary; returns when it was.
  moment promote() const;
  void stop(const std::string& mode);
  bool accepts() const;
  pid_t postmaster() const;
  std::vector<pid_t> children() const;
  /// To the postmaster, or to one of its children; anything else throws.
  void signal(pid_t whom, int what) const;
  void freeze() const;
  void thaw() const;

  /// Server processes of sessions of this application name.
  std::set<int> sessions(const std::string& application) const;
  void terminate_all(const std::string& application) const;

 private:
  std::string dir_;
  std::string conninfo_;
};

/// The one most tests share; started at its first use.
server& shared_server();

}  // namespace tidepool_faults

/// First line of every test that needs a server. The reason why it is skipped is said aloud.
#define NEEDS_OWN_SERVER()                                                        \
  if (const auto reason = tidepool_faults::no_server_reason(); !reason.empty()) { \
    WARN("skipped: " << reason);                                                  \
    return;                                                                       \
  }                                                                               \
  static_assert(true)

#endif
