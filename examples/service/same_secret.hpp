// SPDX-License-Identifier: BSL-1.0
// tidepool - compares what a client claims to know with what it should know.
#ifndef TIDEPOOL_EXAMPLES_SAME_SECRET_HPP
#define TIDEPOOL_EXAMPLES_SAME_SECRET_HPP

#include <cstddef>
#include <string_view>

/// Takes the same time wherever the texts differ.
inline bool same_secret(std::string_view given, std::string_view secret) noexcept {
  unsigned differs = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    const char theirs = i < given.size() ? given[i] : '\0';
    differs |= static_cast<unsigned>(static_cast<unsigned char>(theirs)) ^ static_cast<unsigned char>(secret[i]);
  }
  const volatile unsigned found = differs;
  return found == 0;
}

#endif
