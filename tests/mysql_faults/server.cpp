// SPDX-License-Identifier: BSL-1.0
// tidepool - MariaDB servers that the fault tests start, hurt and stop.
#include "server.hpp"

#include <mysql.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

namespace tidepool_faults {
namespace {

/// What is committed is in the system's hands, so that it outlives the process; nothing waits for the disk.
const std::string durable = "--innodb-flush-log-at-trx-commit=2";
const std::string without_fsync = "--innodb-flush-method=nosync";

std::string mariadb_script() { return std::filesystem::path(__FILE__).parent_path().string() + "/../support/mariadb_server.sh"; }

[[noreturn]] void throw_failure_of(MYSQL* session) {
  const unsigned number = mysql_errno(session);
  const std::string why = std::to_string(number) + " " + mysql_error(session);
  switch (number) {
    case 1040:  // too many connections
    case 1053:  // it goes down
    case 1927:  // killed
    case 2002:  // no such socket
    case 2006:
    case 2013: throw not_ready(why);
    default: throw std::runtime_error(why);
  }
}

}  // namespace

plain_session::plain_session(const std::string& user, const std::string& socket) : handle_(mysql_init(nullptr)) {
  const unsigned limit = 10;
  mysql_optionsv(handle_, MYSQL_OPT_CONNECT_TIMEOUT, &limit);
  if (mysql_real_connect(handle_, nullptr, user.c_str(), nullptr, "tidepool", 0, socket.c_str(), 0) != nullptr) return;
  try {
    throw_failure_of(handle_);
  } catch (...) {
    mysql_close(handle_);
    throw;
  }
}
plain_session::~plain_session() { mysql_close(handle_); }
rows plain_session::ask(const std::string& sql) const {
  if (mysql_real_query(handle_, sql.data(), static_cast<unsigned long>(sql.size())) != 0) throw_failure_of(handle_);
  rows out;
  const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> got(mysql_store_result(handle_), &mysql_free_result);
  if (got == nullptr) return out;
  for (MYSQL_ROW row = mysql_fetch_row(got.get()); row != nullptr; row = mysql_fetch_row(got.get())) {
    auto& texts = out.emplace_back();
    for (unsigned i = 0; i < mysql_num_fields(got.get()); ++i) texts.emplace_back(row[i] == nullptr ? "" : row[i]);
  }
  return out;
}

server::server(const std::string& name) : dir_(yard() + "/" + name) {
  start();
  admin("create table if not exists ledger (token bigint unsigned not null)");
}
server::~server() {
  try {
    end(SIGKILL);
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
std::string server::url(unsigned at, const std::string& user) const {
  return "mysql://" + user + "@127.0.0.1:" + std::to_string(at == 0 ? port() : at) + "/tidepool";
}
rows server::admin(const std::string& sql) const {
  const auto until = clock::now() + 20s;
  for (;;) {
    try {
      return plain_session("root", socket()).ask(sql);
    } catch (const not_ready&) {
      if (clock::now() > until) throw;
    }
    std::this_thread::sleep_for(5ms);
  }
}

moment server::start(const std::vector<std::string>& options) {
  std::vector<std::string> command = {mariadb_script(), "start", dir_, durable, without_fsync};
  command.insert(command.end(), options.begin(), options.end());
  const auto done = run_program(command, [this] { return accepts(); });
  if (done.status != 0) throw std::runtime_error("the server in " + dir_ + " does not start");
  return done.at;
}
void server::stop() const { end(SIGTERM); }
void server::crash() const { end(SIGKILL); }
void server::end(int how) const {
  const pid_t process = pid();
  if (process == 0) return;
  ::kill(process, SIGCONT);
  ::kill(process, how);
  const auto until = clock::now() + 30s;
  while (pid() == process) {
    if (clock::now() > until) throw std::runtime_error("the server in " + dir_ + " does not stop");
    std::this_thread::sleep_for(2ms);
  }
}
bool server::accepts() const {
  try {
    return !plain_session("root", socket()).ask("select 1").empty();
  } catch (const std::exception&) {
    return false;
  }
}

/// By its arguments as well: a process that has ended has none, and its number may be given anew.
pid_t server::pid() const {
  std::ifstream file(dir_ + "/pid");
  pid_t number = 0;
  file >> number;
  std::ifstream said("/proc/" + std::to_string(number) + "/cmdline");
  std::stringstream words;
  words << said.rdbuf();
  return words.str().find("--datadir=" + dir_ + "/data") == std::string::npos ? 0 : number;
}
void server::freeze() const {
  const pid_t process = pid();
  if (process == 0) throw std::runtime_error("the server does not run");
  ::kill(process, SIGSTOP);
}
void server::thaw() const {
  if (const pid_t process = pid(); process != 0) ::kill(process, SIGCONT);
}

std::set<int> server::sessions(const std::string& user) const {
  std::set<int> out;
  for (const auto& row : admin("select id from information_schema.processlist where user = '" + user + "'")) {
    out.insert(std::stoi(row.at(0)));
  }
  return out;
}

server& shared_server() {
  static server one("a");
  if (one.pid() == 0) one.start();
  one.thaw();
  return one;
}

std::string no_server_reason() {
  static const std::string reason = [] {
    const auto tried = run_program({mariadb_script(), "start", yard() + "/a", durable, without_fsync});
    if (tried.status == 77) return std::string("MariaDB's server programs are not installed");
    if (tried.status != 0) throw std::runtime_error("the server does not start");
    return std::string();
  }();
  return reason;
}

setup load_on(const server& db, const std::string& url) {
  setup out;
  out.conninfo = url.empty() ? db.url() : url;
  out.application = "tidepool";
  out.statement = "insert into ledger values (?) returning sleep(0.005), token";
  return out;
}

std::string ledger_fault(const rig& watched, const std::vector<const server*>& servers) {
  std::map<std::uint64_t, int> found;
  for (const auto* each : servers) {
    for (const auto& row : each->admin("select token from ledger")) ++found[std::stoull(row.at(0))];
  }
  for (const auto& r : watched.requests()) {
    const auto at = found.find(r.token);
    const int count = at == found.end() ? 0 : at->second;
    const std::string name = "request " + std::to_string(r.token);
    if (count > 1) return name + " is there " + std::to_string(count) + " times";
    if (r.how == ending::ok && count == 0) return name + " was confirmed and is lost";
    if ((r.how == ending::no_lease || r.how == ending::refused) && count == 1) return name + " failed and is there: " + r.why;
  }
  return "";
}
void check_all(rig& watched, const verdict& m, const server& db) {
  check_common(watched, m, db);
  const auto wrong = ledger_fault(watched, {&db});
  INFO(wrong);
  CHECK(wrong.empty());
}

}  // namespace tidepool_faults
