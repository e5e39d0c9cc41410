// SPDX-License-Identifier: BSL-1.0
// tidepool - hands every file of a corpus to a fuzz target: what a fuzzer once found interesting is run by every test run.
#ifndef TIDEPOOL_TESTS_FUZZ_CORPUS_HPP
#define TIDEPOOL_TESTS_FUZZ_CORPUS_HPP

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace tidepool_tests {

/// Returns how many there were. A target aborts when it finds something; its input is then the file named last.
template <class Target>
std::size_t replay_corpus(const std::string& name, std::string& current, Target target) {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "corpus" / name;
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    current = entry.path().string();
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    target(bytes.data(), bytes.size());
    ++files;
  }
  return files;
}

}  // namespace tidepool_tests

#endif
