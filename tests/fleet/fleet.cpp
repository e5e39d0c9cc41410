// SPDX-License-Identifier: BSL-1.0
// tidepool - the fleet that rig.sh has started around this program, and somebody who watches its servers.
#include "fleet.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace tidepool_fleet {
namespace {

struct finish {
  void operator()(PGconn* c) const { ::PQfinish(c); }
};
struct clear {
  void operator()(PGresult* r) const { ::PQclear(r); }
};
using session = std::unique_ptr<PGconn, finish>;
using answer = std::unique_ptr<PGresult, clear>;

std::string conninfo_of(int node) { return "host=" + address(node) + " dbname=tidepool user=tidepool sslmode=disable"; }

/// Waits for the socket, at most until then.
bool wait_on(const PGconn* c, short what, moment until) {
  pollfd one{::PQsocket(c), what, 0};
  const auto left = std::max<long>(0, std::chrono::duration_cast<milliseconds>(until - clock::now()).count());
  return ::poll(&one, 1, static_cast<int>(left) + 1) > 0;
}
session log_in(int node, moment until) {
  session c(::PQconnectStart(conninfo_of(node).c_str()));
  ::PQsetNoticeProcessor(
      c.get(), [](void*, const char*) {}, nullptr);
  while (c && clock::now() < until) {
    switch (::PQconnectPoll(c.get())) {
      case PGRES_POLLING_OK: return c;
      case PGRES_POLLING_READING: (void)wait_on(c.get(), POLLIN, until); break;
      case PGRES_POLLING_WRITING: (void)wait_on(c.get(), POLLOUT, until); break;
      default: return nullptr;
    }
  }
  return nullptr;
}
/// Null: no answer in time.
answer ask(PGconn* c, const char* sql, moment until) {
  if (::PQsendQuery(c, sql) != 1) return nullptr;
  answer last;
  while (clock::now() < until) {
    if (::PQisBusy(c) == 0) {
      answer next(::PQgetResult(c));
      if (!next) return last;
      last = std::move(next);
      continue;
    }
    (void)wait_on(c, POLLIN, until);
    if (::PQconsumeInput(c) != 1) return nullptr;
  }
  return nullptr;
}

}  // namespace

bool there() { return std::getenv("TIDEPOOL_FLEET_RIG") != nullptr; }

void rig(const std::string& verb) {
  const std::string command = std::string(std::getenv("TIDEPOOL_FLEET_RIG")) + " " + verb;
  const int status = std::system(command.c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error("rig.sh " + verb + " failed");
}

int leader() {
  for (const auto end = clock::now() + 30s; clock::now() < end; wait_for(100ms)) {
    const std::string command = std::string(std::getenv("TIDEPOOL_FLEET_RIG")) + " leader";
    std::unique_ptr<FILE, int (*)(FILE*)> out(::popen(command.c_str(), "r"), ::pclose);
    int node = 0;
    if (out && std::fscanf(out.get(), "%d", &node) == 1) return node;
  }
  throw std::runtime_error("no node is the primary");
}

void prepare() {
  static bool done = false;
  if (done) return;
  on_node(leader(),
          "create table if not exists fleet_ledger (id text primary key);"
          "create table if not exists fleet_beat as select 0 as number;"
          "create table if not exists fleet_watched as select clock_timestamp() as at");
  done = true;
}

void settle() { rig("settled"); }

std::string all_hosts(int port) {
  std::string out = "host=";
  for (const int node : nodes) out += (node == nodes.front() ? "" : ",") + address(node);
  return out + " port=" + std::to_string(port) + " dbname=tidepool user=tidepool sslmode=disable";
}

std::vector<std::vector<std::string>> on_node(int node, const std::string& sql) {
  const auto until = clock::now() + 20s;
  const auto c = log_in(node, until);
  if (!c) throw std::runtime_error("node " + std::to_string(node) + " lets nobody in");
  const auto r = ask(c.get(), sql.c_str(), until);
  const auto status = ::PQresultStatus(r.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw std::runtime_error(std::string(::PQerrorMessage(c.get())) + sql);
  std::vector<std::vector<std::string>> out;
  for (int i = 0; i < ::PQntuples(r.get()); ++i) {
    out.emplace_back();
    for (int j = 0; j < ::PQnfields(r.get()); ++j) out.back().emplace_back(::PQgetvalue(r.get(), i, j));
  }
  return out;
}

watcher::watcher() {
  for (const int node : nodes) {
    threads_.emplace_back([this, node] { watch(node); });
  }
}
watcher::~watcher() {
  over_ = true;
  for (auto& each : threads_) each.join();
}

void watcher::watch(int node) {
  auto change_to = [this, node, last = -1](bool writable) mutable {
    if (last == int(writable)) return;
    last = int(writable);
    const std::lock_guard lock(mutex_);
    changes_.push_back({clock::now(), node, writable});
  };
  session c;
  for (moment next = clock::now(); !over_; std::this_thread::sleep_until(next)) {
    next = clock::now() + 20ms;
    if (!c) c = log_in(node, clock::now() + 300ms);
    if (!c) {
      change_to(false);
      continue;
    }
    const auto role = ask(c.get(), "select pg_is_in_recovery()", clock::now() + 300ms);
    bool writes = false;
    bool lost = ::PQresultStatus(role.get()) != PGRES_TUPLES_OK;
    if (!lost && std::string(::PQgetvalue(role.get(), 0, 0)) == "f") {
      // Not in vain where replication makes it wait: the moment it can be confirmed is what is looked for.
      const auto done = ask(c.get(), "update fleet_watched set at = clock_timestamp()", clock::now() + 3s);
      writes = ::PQresultStatus(done.get()) == PGRES_COMMAND_OK;
      lost = ::PQstatus(c.get()) != CONNECTION_OK || !done;
    }
    change_to(writes);
    if (lost) c.reset();
  }
}

std::vector<watcher::change> watcher::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}
watcher::change watcher::writable_after(moment from, milliseconds most) const {
  for (const auto end = from + most; clock::now() < end; wait_for(2ms)) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(changes_.begin(), changes_.end(), [from](const change& c) { return c.writable && c.at >= from; });
    if (found != changes_.end()) return *found;
  }
  return {};
}
bool watcher::none_writable() const {
  const std::lock_guard lock(mutex_);
  std::array<bool, 8> now{};
  for (const auto& c : changes_) now[static_cast<std::size_t>(c.node)] = c.writable;
  return std::none_of(now.begin(), now.end(), [](bool w) { return w; });
}

void report(const std::string& row, const std::string& cells) {
  std::printf("fleet row %s: %s\n", row.c_str(), cells.c_str());
  std::fflush(stdout);
  const char* path = std::getenv("TIDEPOOL_FLEET_TABLE");
  if (path == nullptr) return;
  std::stringstream all;
  {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      // What was before it, and what it says today: the row's name, the event, the ordinary pool's figures.
      if (line.starts_with("| " + row + " |")) {
        std::size_t at = 0;
        for (int cell = 0; cell < 3; ++cell) at = line.find('|', at + 1);
        line = line.substr(0, at) + "| " + cells + " |";
      }
      all << line << '\n';
    }
  }
  std::ofstream(path) << all.str();
}

}  // namespace tidepool_fleet
