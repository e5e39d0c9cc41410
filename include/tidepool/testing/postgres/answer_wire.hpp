// SPDX-License-Identifier: BSL-1.0
// tidepool - the messages of an answer's rows.
#ifndef TIDEPOOL_TESTING_POSTGRES_ANSWER_WIRE_HPP
#define TIDEPOOL_TESTING_POSTGRES_ANSWER_WIRE_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "../../version.hpp"
#include "answer.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail::wire {

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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail::wire

#endif
