// SPDX-License-Identifier: BSL-1.0
// tidepool - programs that the fault tests run, and the folder where their servers live.
#ifndef TIDEPOOL_TESTS_FAULTS_PROCESSES_HPP
#define TIDEPOOL_TESTS_FAULTS_PROCESSES_HPP

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace tidepool_faults {

/// Runs a program, with none of our descriptors but its output. Returns what it wrote to its standard output.
struct finished {
  int status = 0;
  std::string output;
};
finished run_program(const std::vector<std::string>& command);

using moment = std::chrono::steady_clock::time_point;
/// The same for a program that brings something about, which it may take some 100 ms to notice itself: `at` is when it was first so.
struct brought_about : finished {
  moment at;
};
brought_about run_program(const std::vector<std::string>& command, const std::function<bool()>& is_so);

/// A folder for servers, and a process beside us that stops them and deletes it when this process ends, in whatever way.
const std::string& yard();
/// tests/faults/servers.sh
std::string servers_script();

/// Stops this process for a while, by a child.
void freeze_ourselves(std::chrono::milliseconds span);
/// Puts a certificate for these names and times in the place of a server's, `server.crt` in its folder. False: openssl could not.
bool certify(const std::string& server_dir, const std::string& names, const std::string& times);

}  // namespace tidepool_faults

#endif
