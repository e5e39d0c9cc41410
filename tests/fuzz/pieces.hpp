// SPDX-License-Identifier: BSL-1.0
// tidepool - a fuzzer's input cut into values: for targets that write what they then read.
#ifndef TIDEPOOL_TESTS_FUZZ_PIECES_HPP
#define TIDEPOOL_TESTS_FUZZ_PIECES_HPP

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidepool_fuzz {

/// Ends the program unless `held`.
inline void require(bool held, const char* what, std::string_view input) {
  if (held) return;
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(input.size()), input.data());
  std::abort();
}

/// A byte of length, then as many bytes; 255 is NULL.
inline std::vector<std::optional<std::string>> pieces(std::string_view input) {
  std::vector<std::optional<std::string>> out;
  while (!input.empty()) {
    const auto length = static_cast<unsigned char>(input[0]);
    input.remove_prefix(1);
    if (length == 255) {
      out.emplace_back();
      continue;
    }
    const auto size = std::min<std::size_t>(length, input.size());
    out.emplace_back(std::string(input.substr(0, size)));
    input.remove_prefix(size);
  }
  return out;
}

}  // namespace tidepool_fuzz

#endif
