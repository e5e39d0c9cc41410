// SPDX-License-Identifier: BSL-1.0
// tidepool - programs that the fault tests run, and the folder where their servers live.
#include "processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <future>
#include <stdexcept>

namespace tidepool_faults {
namespace {

using namespace std::chrono_literals;

std::string here() { return std::filesystem::path(__FILE__).parent_path().string(); }

pid_t spawn(const std::vector<std::string>& command, int input, int output, bool own_session) {
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (input >= 0) {
    posix_spawn_file_actions_adddup2(&files, input, 0);
  } else {
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  }
  if (output >= 0) posix_spawn_file_actions_adddup2(&files, output, 1);
  // A server must not inherit a socket of ours: the peer would never see its end.
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  if (own_session) posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, words[0], &files, &how, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  if (failure != 0) throw std::runtime_error("cannot start " + command[0]);
  return child;
}

std::string start_yard() {
  std::string dir = std::filesystem::temp_directory_path() / "tidepool-faults.XXXXXX";
  if (::mkdtemp(dir.data()) == nullptr) throw std::runtime_error("no temporary folder");
  ::chmod(dir.c_str(), 0711);
  // The guard's input ends when this process does: the write end stays open, unused, until then.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  spawn({servers_script(), "guard", dir}, ends[0], -1, true);
  ::close(ends[0]);
  return dir;
}

}  // namespace

finished run_program(const std::vector<std::string>& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const pid_t child = spawn(command, -1, ends[1], false);
  ::close(ends[1]);
  finished out;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto got = ::read(ends[0], buffer.data(), buffer.size());
    if (got <= 0) break;
    out.output.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  while (!out.output.empty() && out.output.back() == '\n') out.output.pop_back();
  return out;
}

brought_about run_program(const std::vector<std::string>& command, const std::function<bool()>& is_so) {
  auto running = std::async(std::launch::async, [&command] { return run_program(command); });
  auto at = moment::max();
  while (running.wait_for(3ms) != std::future_status::ready) {
    if (at == moment::max() && is_so()) at = std::chrono::steady_clock::now();
  }
  return {running.get(), std::min(at, std::chrono::steady_clock::now())};
}

const std::string& yard() {
  static const std::string dir = start_yard();
  return dir;
}
std::string servers_script() { return here() + "/servers.sh"; }

void freeze_ourselves(std::chrono::milliseconds span) {
  const pid_t child = ::fork();
  if (child == 0) {
    // Only system calls: the other threads are not here, and what they held stays held.
    const timespec pause{span.count() / 1000, (span.count() % 1000) * 1000000};
    ::kill(::getppid(), SIGSTOP);
    ::nanosleep(&pause, nullptr);
    ::kill(::getppid(), SIGCONT);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
}

bool certify(const std::string& server_dir, const std::string& names, const std::string& times) {
  // openssl ca alone takes dates; it wants a small data base of its own.
  const std::string dir = server_dir + "/ca";
  const std::string commands =
      "set -e; rm -rf " + dir + "; mkdir " + dir + "; cd " + dir +
      "; touch index; echo 01 >serial; printf '[ca]\\ndefault_ca=c\\n[c]\\nnew_certs_dir=.\\ndatabase=index\\nserial=serial\\n"
      "default_md=sha256\\npolicy=p\\nx509_extensions=x\\n[p]\\ncommonName=supplied\\n[x]\\nsubjectAltName=" +
      names +
      "\\n' >conf"
      "; openssl req -new -key ../server.key -subj /CN=test -out request.csr"
      "; openssl ca -batch -config conf -in request.csr -keyfile ../server.key -selfsign " +
      times +
      " -out server.crt -notext"
      "; cat server.crt >../server.crt";
  return run_program({"sh", "-c", "(" + commands + ") >" + dir + ".log 2>&1"}).status == 0;
}

}  // namespace tidepool_faults
