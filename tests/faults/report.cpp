// SPDX-License-Identifier: BSL-1.0
// tidepool - the table of faults: printed row by row, and filled into the file that TIDEPOOL_FAULTS_TABLE names.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "rig.hpp"

namespace tidepool_faults {
namespace {

std::string figure(double value) {
  if (value < 0) return "–";
  char out[32];
  std::snprintf(out, sizeof out, value < 10 ? "%.1f ms" : "%.0f ms", value);
  return out;
}

/// The line of a row has five cells of words and targets, then the measured ones, which are replaced.
void fill_in(const std::string& row, const std::string& cells) {
  std::printf("fault row %s: %s\n", row.c_str(), cells.c_str());
  std::fflush(stdout);
  const char* path = std::getenv("TIDEPOOL_FAULTS_TABLE");
  if (path == nullptr) return;
  const int lock = ::open(path, O_RDWR | O_CLOEXEC);  // several test programs may be at it
  ::flock(lock, LOCK_EX);
  std::stringstream all;
  {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      // The table of risks has rows of that name too, with four cells.
      if (line.starts_with("| " + row + " |") && std::count(line.begin(), line.end(), '|') > 5) {
        std::size_t at = 0;
        for (int cell = 0; cell < 5; ++cell) at = line.find('|', at + 1);
        line = line.substr(0, at) + "| " + cells + " |";
      }
      all << line << '\n';
    }
  }
  std::ofstream(path) << all.str();
  ::close(lock);
}

}  // namespace

void report(const std::string& row, const verdict& m, const std::string& remark) {
  std::string failed = std::to_string(m.failed) + " of " + std::to_string(m.requests);
  if (m.failed > 0) failed += " (" + std::to_string(m.running) + " were running)";
  fill_in(row, figure(m.detect_ms) + " | " + figure(m.recover_ms) + " | " + failed + " | " + figure(m.latest_ms) + " | " +
                   figure(m.gap_ms) + " | " + remark);
}

void report_skipped(const std::string& row, const std::string& reason) { fill_in(row, "– | – | – | – | – | not run: " + reason); }

}  // namespace tidepool_faults
