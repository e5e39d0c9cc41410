// SPDX-License-Identifier: BSL-1.0
// tidepool - rows of COPY's text format: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_COPY_TEXT_IPP
#define TIDEPOOL_POSTGRES_IMPL_COPY_TEXT_IPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "../detail/copy_text.hpp"
#include "../detail/text.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

TIDEPOOL_LAZY_BODY void append_copy_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\0': throw error(errc::bad_parameter, "it holds a NUL byte");
      default: out += c;
    }
  }
}
TIDEPOOL_LAZY_BODY void refuse_copy_column(std::size_t column, const error& failure) {
  throw error(failure.reason(), "column " + std::to_string(column) + ": " + std::string(failure.explanation()));
}

TIDEPOOL_LAZY_BODY copy_row::copy_row(std::string_view line, std::uint64_t number, bool values_in_errors)
    : number_(number), values_in_errors_(values_in_errors) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  for (;;) {
    const auto tab = line.find('\t');
    columns_.push_back(unescape(line.substr(0, tab)));
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
}
TIDEPOOL_LAZY_BODY void copy_row::throw_null(std::size_t column, std::string (*type)()) const {
  throw error(errc::null_value, name(column) + " is NULL, and " + type() + " takes none; read it as std::optional<" + type() + ">");
}
TIDEPOOL_LAZY_BODY void copy_row::throw_unreadable(std::size_t column, std::string (*type)(), const error& failure) const {
  const auto value = values_in_errors_ ? ": \"" + printable(*columns_[column], 40) + '"' : std::string();
  throw error(failure.reason(), "cannot read " + name(column) + " as " + type() + ": " + std::string(failure.explanation()) + value);
}
TIDEPOOL_LAZY_BODY std::string copy_row::name(std::size_t column) const {
  return "row " + std::to_string(number_) + ", column " + std::to_string(column + 1);
}
TIDEPOOL_LAZY_BODY std::optional<std::string> copy_row::unescape(std::string_view text) {
  if (text == "\\N") return std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'v': out += '\v'; break;
      default: out += text[i];  // a backslash: the server escapes nothing else
    }
  }
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
