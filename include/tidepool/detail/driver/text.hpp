// SPDX-License-Identifier: BSL-1.0
// tidepool - escapes the text of servers and libraries for logs, and removes secrets.
#ifndef TIDEPOOL_DETAIL_DRIVER_TEXT_HPP
#define TIDEPOOL_DETAIL_DRIVER_TEXT_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Control characters as `\xNN` (also the C1 ones of UTF-8), at most `limit` bytes of input: a server, or a program that poses as one, must
/// not write lines or colours into a log. A new line and the blanks around it are one blank, and none at the end of the text.
template <class = void>
inline std::string printable(std::string_view text, std::size_t limit) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  const auto last = text.find_last_not_of("\r\n");
  text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  const bool cut = text.size() > limit;
  if (cut) {
    text = text.substr(0, limit);
    // Do not cut in the middle of a character.
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U) text.remove_suffix(1);
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0U) text.remove_suffix(1);
  }
  out.reserve(text.size());
  bool line_ended = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xC2U && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0U;
    if (byte == ' ' && line_ended) continue;
    if (byte >= 0x20U && byte != 0x7FU && !c1) {
      line_ended = false;
      out += text[i];
      continue;
    }
    const auto shown = c1 ? static_cast<unsigned char>(text[++i]) : byte;
    if (shown == '\n' || shown == '\t' || shown == '\r') {
      if (!out.empty() && out.back() != ' ') out += ' ';
      line_ended = true;
    } else {
      line_ended = false;
      out += "\\x";
      out += digits[shown >> 4U];
      out += digits[shown & 15U];
    }
  }
  if (cut) out += "...";
  return out;
}

/// "1.25 s".
template <class = void>
inline std::string seconds_text(duration span) {
  std::array<char, 32> out{};
  std::snprintf(out.data(), out.size(), "%.3g s", std::chrono::duration<double>(span).count());
  return out.data();
}

template <class = void>
inline std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

/// `text` without any occurrence of `secret`.
template <class = void>
inline std::string redact(std::string text, std::string_view secret) {
  if (secret.empty()) return text;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) text.replace(at, secret.size(), "***");
  return text;
}

/// Overwrites the characters and clears the string; `volatile` keeps the compiler from leaving it out.
template <class = void>
inline void wipe(std::string& secret) noexcept {
  volatile char* at = secret.data();
  for (std::size_t i = 0; i < secret.size(); ++i) at[i] = '\0';
  secret.clear();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
