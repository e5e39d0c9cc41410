// SPDX-License-Identifier: BSL-1.0
// tidepool - six processes on the places of one server: none is left out, and each has its share.
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "load.hpp"
#include "needs_fleet.hpp"

extern char** environ;

using namespace tidepool_fleet;

namespace {

/// This program once more, as one of several that share the places; what it says of itself.
class instance {
 public:
  instance() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socket");
    ours_ = ends[0];
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, ends[1], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    std::string program = "/proc/self/exe", tests = "[.instance]";
    char* arguments[] = {program.data(), tests.data(), nullptr};
    const int failed = ::posix_spawn(&pid_, program.c_str(), &files, nullptr, arguments, environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    if (failed != 0) throw std::runtime_error("no process");
    reader_ = std::thread([this] { listen(); });
  }
  instance(const instance&) = delete;
  instance& operator=(const instance&) = delete;
  ~instance() {
    ::shutdown(ours_, SHUT_WR);
    reader_.join();
    (void)::waitpid(pid_, nullptr, 0);
    ::close(ours_);
  }

  struct line {
    moment at{};
    std::size_t sessions = 0;
    std::uintmax_t granted = 0, refused = 0, failed = 0;
  };
  /// What it said between two moments.
  std::vector<line> said(moment from, moment until) const {
    const std::lock_guard lock(mutex_);
    std::vector<line> out;
    std::copy_if(lines_.begin(), lines_.end(), std::back_inserter(out), [&](const line& l) { return l.at >= from && l.at < until; });
    return out;
  }
  /// The latest; nothing as long as it has no connection.
  line latest() const {
    const std::lock_guard lock(mutex_);
    return lines_.empty() ? line() : lines_.back();
  }

 private:
  void listen() {
    std::unique_ptr<FILE, int (*)(FILE*)> in(::fdopen(::dup(ours_), "r"), std::fclose);
    char text[200];
    while (std::fgets(text, sizeof text, in.get()) != nullptr) {
      line l;
      l.at = clock::now();
      if (std::sscanf(text, "figures %zu %ju %ju %ju", &l.sessions, &l.granted, &l.refused, &l.failed) != 4) continue;
      const std::lock_guard lock(mutex_);
      lines_.push_back(l);
    }
  }

  int ours_ = -1;
  ::pid_t pid_ = 0;
  mutable std::mutex mutex_;
  std::vector<line> lines_;
  std::thread reader_;
};

/// 1 where all are alike, 1/n where one has everything.
double jain(const std::vector<double>& all) {
  double sum = 0, squares = 0;
  for (const double x : all) sum += x, squares += x * x;
  return squares == 0 ? 0 : sum * sum / (static_cast<double>(all.size()) * squares);
}

/// How the places were shared for some seconds.
struct division {
  double least = 1e9;  ///< the smallest pool at any moment
  std::vector<double> sessions, grants;
};
division divided(const std::vector<std::unique_ptr<instance>>& all, milliseconds span) {
  const auto from = clock::now();
  wait_for(span);
  const auto until = clock::now();
  division out;
  for (const auto& each : all) {
    const auto lines = each->said(from, until);
    double sum = 0;
    if (lines.size() < 2) out.least = 0;
    for (const auto& l : lines) {
      sum += static_cast<double>(l.sessions);
      out.least = std::min(out.least, static_cast<double>(l.sessions));
    }
    out.sessions.push_back(lines.empty() ? 0 : sum / static_cast<double>(lines.size()));
    out.grants.push_back(lines.empty() ? 0 : static_cast<double>(lines.back().granted - lines.front().granted));
  }
  return out;
}
/// An equal share by the rule in the reference, by asking the server.
std::size_t share_at(int node, std::size_t instances) {
  const auto row = on_node(node,
                           "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
                           " - count(*) filter (where application_name not like 'sharing#%' or application_name like '%?%')"
                           " from pg_stat_activity where usesysid is not null and pid <> pg_backend_pid()");
  return static_cast<std::size_t>(std::stod(row.at(0).at(0)) * 0.95) / instances;
}
std::string list(const std::vector<double>& all) {
  std::string out;
  for (const double x : all) out += (out.empty() ? "" : ", ") + std::to_string(static_cast<int>(x + 0.5));
  return out;
}
std::string figure(double x) {
  char out[32];
  std::snprintf(out, sizeof out, "%.3f", x);
  return out;
}

}  // namespace

TEST_CASE("given one of several instances, when its standard input ends, then it has served until then", "[.instance]") {
  REQUIRE(share_places() == 0);
}

TEST_CASE("row 8: given six processes on one server, when three of them come late, then all have a share", "[fleet][field-L13]") {
  NEEDS_FLEET();
  settle();
  std::vector<std::unique_ptr<instance>> all;
  for (int i = 0; i < 3; ++i) all.push_back(std::make_unique<instance>());
  wait_for(6s);
  const auto early = divided(all, 1s);
  for (int i = 0; i < 3; ++i) all.push_back(std::make_unique<instance>());
  wait_for(10s);
  for (const auto& each : all) CHECK(each->latest().granted > 0);
  const auto share = share_at(leader(), all.size());
  const auto late = divided(all, 5s);
  // All of them make their connections at once, on another server.
  rig("switchover");
  wait_for(10s);
  const auto share_after = share_at(leader(), all.size());
  const auto after = divided(all, 5s);
  std::uintmax_t failed = 0, refused = 0;
  for (const auto& each : all) failed += each->latest().failed, refused += each->latest().refused;
  std::size_t in_flight = 0;
  for (const double each : late.sessions) in_flight += static_cast<std::size_t>(each + 0.5);
  report("8", "– | – | – | " + std::to_string(failed) + " of " + std::to_string(in_flight) + " | " + std::to_string(refused) +
                  " | – | – | – | connections of three: " + list(early.sessions) + "; of six, with a share of " + std::to_string(share) +
                  ": " + list(late.sessions) + ", Jain " + figure(jain(late.sessions)) + ", of their leases " + figure(jain(late.grants)) +
                  "; after a switchover: " + list(after.sessions) + ", Jain " + figure(jain(after.sessions)) + " and " +
                  figure(jain(after.grants)));
  CHECK(failed <= in_flight);
  CHECK(refused == 0);
  CHECK(late.least >= 0.8 * static_cast<double>(share));
  CHECK(after.least >= 0.8 * static_cast<double>(share_after));
  CHECK(jain(late.sessions) >= 0.95);
  CHECK(jain(late.grants) >= 0.95);
  CHECK(jain(after.sessions) >= 0.95);
  CHECK(jain(after.grants) >= 0.95);
}
