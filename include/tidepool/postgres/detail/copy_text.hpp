// SPDX-License-Identifier: BSL-1.0
// tidepool - the text format of COPY: tabs between columns, \N for NULL, backslash escapes.
#ifndef TIDEPOOL_POSTGRES_DETAIL_COPY_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_COPY_TEXT_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../../version.hpp"
#include "../codec.hpp"
#include "row_type.hpp"
#include "text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// How many bytes are gathered before they go to libpq, and how many libpq may hold unsent.
inline constexpr std::size_t copy_block = std::size_t{64} << 10U;

template <class = void>
inline void append_copy_escaped(std::string& out, std::string_view text) {
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

template <class T>
void append_copy_column(std::string& out, const T& value) {
  using C = codec_for<T>;
  if (is_null(value)) {
    out += "\\N";
    return;
  }
  static_assert(
      has_text_form<C, codec_type<T>>,
      "this codec has only a binary form, and COPY in text format needs text: add `static void encode_text(std::string& out, const T&)`");
  if constexpr (std::is_base_of_v<bytea_parameter, C>) {
    out += '\\';
    C::encode_text(out, strip_optional(value));
  } else {
    std::string text;
    encode_text<C>(text, strip_optional(value));
    append_copy_escaped(out, text);
  }
}

template <class... Columns>
void append_copy_row(std::string& out, const Columns&... columns) {
  std::size_t column = 0;
  const auto one = [&](const auto& value) {
    if (column++ > 0) out += '\t';
    if constexpr (encodable<std::remove_cvref_t<decltype(value)>>) append_copy_column(out, value);
  };
  try {
    (one(columns), ...);
  } catch (const error& failure) {
    throw error(failure.reason(), "column " + std::to_string(column) + ": " + std::string(failure.explanation()));
  }
  out += '\n';
}

/// One line, split into columns; has the members of `row` that `read_row` needs.
template <class = void>
class basic_copy_row {
 public:
  using codecs = detail::codecs;
  class field {
   public:
    field(const basic_copy_row& of, std::size_t column) : of_(of), column_(column) {}
    template <class T>
    T as() const {
      using type = typename unwrapped<T>::type;
      const auto& text = of_.columns_[column_];
      if (!text) {
        if constexpr (may_be_null<T>) {
          return null_value<T>();
        } else {
          throw error(errc::null_value,
                      name() + " is NULL, and " + type_words<type>() + " takes none; read it as std::optional<" + type_words<type>() + ">");
        }
      }
      try {
        return decode_value<type>(*text, 0);
      } catch (const error& failure) {
        const auto value = of_.values_in_errors_ ? ": \"" + printable(*text, 40) + '"' : std::string();
        throw error(failure.reason(),
                    "cannot read " + name() + " as " + type_words<type>() + ": " + std::string(failure.explanation()) + value);
      }
    }

   private:
    std::string name() const { return "row " + std::to_string(of_.number_) + ", column " + std::to_string(column_ + 1); }

    const basic_copy_row& of_;
    std::size_t column_;
  };

  /// `number`: of the row, for errors; counts from 1.
  explicit basic_copy_row(std::string_view line, std::uint64_t number = 1, bool values_in_errors = false)
      : number_(number), values_in_errors_(values_in_errors) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    for (;;) {
      const auto tab = line.find('\t');
      columns_.push_back(unescape(line.substr(0, tab)));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
  }
  std::size_t size() const noexcept { return columns_.size(); }
  field operator[](std::size_t column) const { return {*this, column}; }

 private:
  static std::optional<std::string> unescape(std::string_view text) {
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
  std::vector<std::optional<std::string>> columns_;
  std::uint64_t number_;
  bool values_in_errors_;
};
using copy_row = basic_copy_row<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
