// SPDX-License-Identifier: BSL-1.0
// tidepool - messages of PostgreSQL's protocol, version 3, as a server reads and writes them.
#ifndef TIDEPOOL_TESTING_POSTGRES_WIRE_HPP
#define TIDEPOOL_TESTING_POSTGRES_WIRE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// An error or a notice: the fields of the protocol, by their letters.
using error_fields = std::map<char, std::string>;

inline error_fields report_of(std::string_view severity, std::string_view sqlstate, std::string_view message) {
  if (sqlstate.size() != 5) throw std::invalid_argument("an SQLSTATE has five characters, not \"" + std::string(sqlstate) + "\"");
  return {{'S', std::string(severity)}, {'V', std::string(severity)}, {'C', std::string(sqlstate)}, {'M', std::string(message)}};
}

namespace wire {

inline constexpr std::uint32_t cancel_request = 80877102, tls_request = 80877103, gss_request = 80877104;

inline std::string number(std::uint32_t value, unsigned bytes) {
  std::string out;
  for (unsigned shift = 8 * bytes; shift > 0; shift -= 8) out += static_cast<char>((value >> (shift - 8)) & 0xFFU);
  return out;
}
inline std::string count(std::size_t value) { return number(static_cast<std::uint32_t>(value), 2); }
inline std::string z(std::string_view text) { return std::string(text) + '\0'; }
inline std::string sized(const std::string& bytes) { return number(static_cast<std::uint32_t>(bytes.size()), 4) + bytes; }
inline std::string message(char kind, const std::string& body) {
  return std::string(1, kind) + number(static_cast<std::uint32_t>(body.size() + 4), 4) + body;
}

inline std::string ready(char state) { return message('Z', std::string(1, state)); }
inline std::string parameter(std::string_view name, std::string_view value) { return message('S', z(name) + z(value)); }
inline std::string complete(std::string_view tag) { return message('C', z(tag)); }
/// ErrorResponse ('E') or NoticeResponse ('N').
inline std::string report(char kind, const error_fields& fields) {
  std::string body;
  for (const auto& [letter, text] : fields) body += letter + z(text);
  return message(kind, body + '\0');
}
inline std::string notification(std::string_view channel, std::string_view payload) {
  return message('A', number(1, 4) + z(channel) + z(payload));
}
/// Takes a message apart. What is missing reads as zero and as empty.
class reader {
 public:
  explicit reader(std::string_view said) : rest_(said) {}

  std::uint32_t number(std::size_t bytes) {
    std::uint32_t out = 0;
    for (const char c : take(bytes)) out = (out << 8U) | static_cast<unsigned char>(c);
    return out;
  }
  std::string text() {
    const auto end = std::min(rest_.find('\0'), rest_.size());
    std::string out(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return out;
  }
  std::string_view take(std::size_t bytes) {
    const auto out = rest_.substr(0, bytes);
    rest_.remove_prefix(out.size());
    return out;
  }
  bool at_end() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace wire
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
