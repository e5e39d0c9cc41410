// SPDX-License-Identifier: BSL-1.0
// tidepool - messages of PostgreSQL's protocol, version 3, as a server reads and writes them.
#ifndef TIDEPOOL_TESTING_POSTGRES_WIRE_HPP
#define TIDEPOOL_TESTING_POSTGRES_WIRE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../../version.hpp"
#include "script.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail::wire {

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
inline std::string report(char kind, const answer_data::report& fields) {
  std::string body;
  for (const auto& [letter, text] : fields) body += letter + z(text);
  return message(kind, body + '\0');
}
inline std::string notification(std::string_view channel, std::string_view payload) {
  return message('A', number(1, 4) + z(channel) + z(payload));
}
inline std::string columns(const answer_data& answer) {
  std::string body = count(answer.columns.size());
  for (std::size_t i = 0; i < answer.columns.size(); ++i) {
    Oid type = answer.columns[i].type();
    if (type == 0) type = answer.rows.empty() ? 25 : answer.rows.front().values()[i].type();
    body += z(answer.columns[i].name()) + number(0, 4) + number(0, 2) + number(type, 4) + number(0xFFFF, 2) + number(0xFFFFFFFF, 4) +
            number(0, 2);
  }
  return message('T', body);
}
inline std::string row(const std::vector<std::optional<std::string>>& values) {
  std::string body = count(values.size());
  for (const auto& value : values) body += value ? sized(*value) : number(0xFFFFFFFF, 4);
  return message('D', body);
}
inline std::string row(const sql_row& from) {
  std::vector<std::optional<std::string>> values;
  for (const auto& value : from.values()) values.push_back(value.text());
  return row(values);
}
/// A row in the text format of COPY.
inline std::string copied_row(const sql_row& from) {
  std::string line;
  for (const auto& value : from.values()) {
    if (&value != from.values().data()) line += '\t';
    if (!value.text()) line += "\\N";
    for (const char c : value.text().value_or("")) {
      if (c == '\\' || c == '\t' || c == '\n' || c == '\r') line += '\\';
      line += c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c;
    }
  }
  return message('d', line + '\n');
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail::wire

#endif
