// SPDX-License-Identifier: BSL-1.0
// tidepool - what one side saw of one statement, and how two of them differ.
#ifndef TIDEPOOL_TESTS_DIFFERENTIAL_OBSERVATION_HPP
#define TIDEPOOL_TESTS_DIFFERENTIAL_OBSERVATION_HPP

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tidepool_differential {

/// What is compared. Each part is text, so that a report can show it.
enum class part { kind, sqlstate, severity, message, tag, columns, cells, notices, state };
inline constexpr std::size_t part_count = 9;
inline constexpr std::array<std::string_view, part_count> part_names = {"kind",    "SQLSTATE", "severity", "message",    "tag",
                                                                        "columns", "cells",    "notices",  "transaction"};

struct observation {
  std::array<std::string, part_count> parts = {};
  std::array<bool, part_count> told = {true, true, true, true, true, true, true, true, true};  ///< false: this way does not show it

  std::string& operator[](part p) { return parts[static_cast<std::size_t>(p)]; }
  const std::string& operator[](part p) const { return parts[static_cast<std::size_t>(p)]; }
  void silent(part p) { told[static_cast<std::size_t>(p)] = false; }
  bool failed() const { return (*this)[part::kind] == "error" || (*this)[part::kind] == "lost"; }
};

struct difference {
  part where;
  std::string expected, got;
};

/// A part counts where both plain sides agree on it, and the tested side shows it.
inline std::vector<difference> differences(const observation& plain, const observation& other_plain, const observation& tested) {
  std::vector<difference> out;
  for (std::size_t i = 0; i < part_count; ++i) {
    if (!tested.told[i] || !plain.told[i] || plain.parts[i] != other_plain.parts[i] || plain.parts[i] == tested.parts[i]) continue;
    out.push_back({static_cast<part>(i), plain.parts[i], tested.parts[i]});
  }
  return out;
}

}  // namespace tidepool_differential

#endif
