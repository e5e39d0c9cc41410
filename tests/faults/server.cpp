// SPDX-License-Identifier: BSL-1.0
// tidepool - servers that the fault tests start, hurt and stop.
#include "server.hpp"

#include <libpq-fe.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace tidepool_faults {

using namespace std::chrono_literals;

std::string postgres_script() { return std::filesystem::path(__FILE__).parent_path().string() + "/../support/postgres_server.sh"; }

rows ask(const std::string& conninfo, const std::string& sql) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> c(PQconnectdb((conninfo + " connect_timeout=10").c_str()), &PQfinish);
  if (PQstatus(c.get()) != CONNECTION_OK) {
    // What stands behind 57P03, in the language of our servers.
    const std::string why = PQerrorMessage(c.get());
    if (why.find("the database system is ") != std::string::npos) throw not_ready(why);
    throw std::runtime_error(why);
  }
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(c.get(), sql.c_str()), &PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    if (state != nullptr && std::string(state).starts_with("57P0")) throw not_ready(PQerrorMessage(c.get()));
    throw std::runtime_error(PQerrorMessage(c.get()));
  }
  rows out(static_cast<std::size_t>(PQntuples(result.get())));
  for (int i = 0; i < PQntuples(result.get()); ++i) {
    for (int j = 0; j < PQnfields(result.get()); ++j) out[static_cast<std::size_t>(i)].emplace_back(PQgetvalue(result.get(), i, j));
  }
  return out;
}

server::server(const std::string& name) : dir_(yard() + "/" + name) { start(); }
server::server(const std::string& name, std::string conninfo) : dir_(yard() + "/" + name), conninfo_(std::move(conninfo)) {}
server::~server() {
  try {
    thaw();
    stop("immediate");
  } catch (const std::exception&) {
    // The guard tries again.
  }
}

unsigned server::port() const {
  std::ifstream file(dir_ + "/port");
  unsigned number = 0;
  file >> number;
  return number;
}
std::string server::admin_conninfo() const {
  return "host=" + dir_ + " port=" + std::to_string(port()) + " user=tidepool dbname=tidepool application_name=admin";
}

rows server::admin(const std::string& sql) const {
  const auto until = std::chrono::steady_clock::now() + 20s;
  for (;;) {
    try {
      return ask(admin_conninfo(), sql);
    } catch (const not_ready&) {
      if (std::chrono::steady_clock::now() > until) throw;
    }
    std::this_thread::sleep_for(5ms);
  }
}

moment server::start() {
  // After kill -9 of the postmaster a start fails until its children are gone.
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto done = run_program({postgres_script(), "start", dir_}, [this] { return accepts(); });
    if (done.status == 0) {
      conninfo_ = done.output;
      return done.at;
    }
    std::this_thread::sleep_for(100ms);
  }
  throw std::runtime_error("the server in " + dir_ + " does not start");
}
moment server::promote() const {
  const auto done = run_program({servers_script(), "promote", dir_}, [this] { return admin("select pg_is_in_recovery()")[0][0] == "f"; });
  if (done.status != 0) throw std::runtime_error("the server in " + dir_ + " is not promoted");
  return done.at;
}
void server::stop(const std::string& mode) {
  const auto done = run_program({postgres_script(), "stop", dir_, mode});
  if (done.status != 0) throw std::runtime_error("the server in " + dir_ + " does not stop");
}
bool server::accepts() const {
  try {
    return !ask(admin_conninfo(), "select 1").empty();
  } catch (const std::exception&) {
    return false;
  }
}

pid_t server::postmaster() const {
  std::ifstream file(dir_ + "/data/postmaster.pid");
  pid_t pid = 0;
  file >> pid;
  std::ifstream said("/proc/" + std::to_string(pid) + "/cmdline");
  std::stringstream words;
  words << said.rdbuf();
  return words.str().find(dir_ + "/data") == std::string::npos ? 0 : pid;
}
std::vector<pid_t> server::children() const {
  std::vector<pid_t> out;
  const auto parent = postmaster();
  if (parent == 0) return out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string line;
    if (!std::getline(file, line)) continue;
    // pid (name, which may hold anything) state parent
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    std::string state;
    pid_t its_parent = 0;
    rest >> state >> its_parent;
    if (its_parent == parent) out.push_back(std::stoi(entry.path().filename()));
  }
  return out;
}
void server::signal(pid_t whom, int what) const {
  bool ours = whom > 0 && whom == postmaster();
  for (const pid_t child : children()) ours = ours || child == whom;
  if (!ours) throw std::runtime_error("not a process of the server in " + dir_);
  ::kill(whom, what);
}
void server::freeze() const {
  const auto parent = postmaster();
  if (parent == 0) throw std::runtime_error("the server does not run");
  ::kill(parent, SIGSTOP);
  for (const pid_t child : children()) ::kill(child, SIGSTOP);
}
void server::thaw() const {
  const auto parent = postmaster();
  if (parent == 0) return;
  for (const pid_t child : children()) ::kill(child, SIGCONT);
  ::kill(parent, SIGCONT);
}

std::set<int> server::sessions(const std::string& application) const {
  std::set<int> out;
  for (const auto& row : admin("select pid from pg_stat_activity where application_name = '" + application + "'")) {
    out.insert(std::stoi(row.at(0)));
  }
  return out;
}
void server::terminate_all(const std::string& application) const {
  admin("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = '" + application + "'");
}

server& shared_server() {
  static server one("a");
  if (one.postmaster() == 0) one.start();
  one.thaw();
  return one;
}

std::string no_server_reason() {
  static const std::string reason = [] {
    const auto tried = run_program({postgres_script(), "start", yard() + "/a"});
    if (tried.status == 77) return std::string("PostgreSQL's server programs are not installed");
    if (tried.status != 0) throw std::runtime_error("the server does not start");
    return std::string();
  }();
  return reason;
}

}  // namespace tidepool_faults
