// SPDX-License-Identifier: BSL-1.0
// tidepool - MariaDB servers that the fault tests start, hurt and stop.
#ifndef TIDEPOOL_TESTS_MYSQL_FAULTS_SERVER_HPP
#define TIDEPOOL_TESTS_MYSQL_FAULTS_SERVER_HPP

#include <sys/types.h>

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "../faults/checks.hpp"

struct st_mysql;

namespace tidepool_faults {

/// Why this machine can run no server of its own; empty when it can.
std::string no_server_reason();

using rows = std::vector<std::vector<std::string>>;
/// The server starts up, goes down, or has no room for us.
struct not_ready : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A session by libmariadb's blocking calls.
class plain_session {
 public:
  /// Throws `not_ready`, or std::runtime_error with the server's message; a path is a local socket.
  plain_session(const std::string& user, const std::string& socket);
  ~plain_session();
  plain_session(const plain_session&) = delete;
  plain_session& operator=(const plain_session&) = delete;
  rows ask(const std::string& sql) const;

 private:
  st_mysql* handle_;
};

/// A MariaDB of our own, started by the constructor; the table `ledger` of its data base takes the tokens of requests. It signals only the
/// process that it has started.
class server {
 public:
  explicit server(const std::string& name);
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  const std::string& dir() const { return dir_; }
  unsigned port() const;
  /// Over TCP, at another port where a proxy stands before it.
  std::string url(unsigned at = 0, const std::string& user = "tidepool") const;
  std::string socket() const { return dir_ + "/socket"; }
  /// As administrator, over the local socket. Asks again while the server is not ready.
  rows admin(const std::string& sql) const;

  /// Returns when it took a session for the first time. Options are the server's.
  moment start(const std::vector<std::string>& options = {});
  /// As an administrator does it: SIGTERM, and waits for its end.
  void stop() const;
  /// `kill -9`, and waits for its end.
  void crash() const;
  bool accepts() const;
  pid_t pid() const;
  void freeze() const;
  void thaw() const;

  /// The server's numbers of this user's sessions.
  std::set<int> sessions(const std::string& user) const;
  void kill_sessions(const std::string& user) const { admin("kill user " + user); }

 private:
  void end(int how) const;

  std::string dir_;
};

/// The one most tests share; started at its first use.
server& shared_server();

/// The load on a server: each request writes its token into the ledger and reads it back.
setup load_on(const server& db, const std::string& url = "");
/// What was confirmed is in the ledger of one of the servers, once; what was refused or never begun is not; nothing is there twice.
std::string ledger_fault(const rig& watched, const std::vector<const server*>& servers);
/// check_common() and the ledger.
void check_all(rig& watched, const verdict& m, const server& db);

}  // namespace tidepool_faults

/// First line of every test that needs a server. The reason why it is skipped is said aloud.
#define NEEDS_OWN_SERVER()                                                        \
  if (const auto reason = tidepool_faults::no_server_reason(); !reason.empty()) { \
    WARN("skipped: " << reason);                                                  \
    return;                                                                       \
  }                                                                               \
  static_assert(true)

#endif
