// SPDX-License-Identifier: BSL-1.0
// tidepool - whether bytes are UTF-8, by the server's rules.
#ifndef TIDEPOOL_POSTGRES_DETAIL_UTF8_HPP
#define TIDEPOOL_POSTGRES_DETAIL_UTF8_HPP

#include <cstddef>
#include <string_view>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// No overlong forms, no surrogates, nothing beyond U+10FFFF.
inline bool is_utf8(std::string_view text) noexcept {
  const auto byte = [&text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned first = byte(i);
    if (first < 0x80U) {
      ++i;
      continue;
    }
    const std::size_t more = first >= 0xF0U ? 3 : first >= 0xE0U ? 2 : 1;
    if (first < 0xC2U || first > 0xF4U || text.size() - i <= more) return false;
    const unsigned least = first == 0xE0U ? 0xA0U : first == 0xF0U ? 0x90U : 0x80U;
    const unsigned most = first == 0xEDU ? 0x9FU : first == 0xF4U ? 0x8FU : 0xBFU;
    if (byte(i + 1) < least || byte(i + 1) > most) return false;
    for (std::size_t j = 2; j <= more; ++j) {
      if ((byte(i + j) & 0xC0U) != 0x80U) return false;
    }
    i += more + 1;
  }
  return true;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
