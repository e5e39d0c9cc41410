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

#include "../../detail/util/lazy.hpp"
#include "../../version.hpp"
#include "../codec.hpp"
#include "row_type.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// How many bytes are gathered before they go to libpq, and how many libpq may hold unsent.
inline constexpr std::size_t copy_block = std::size_t{64} << 10U;

TIDEPOOL_LAZY void append_copy_escaped(std::string& out, std::string_view text);

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

/// Says which column it is that a codec refuses.
TIDEPOOL_LAZY [[noreturn, gnu::cold]] void refuse_copy_column(std::size_t column, const error& failure);

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
    refuse_copy_column(column, failure);
  }
  out += '\n';
}

/// One line, split into columns; has the members of `row` that `read_row` needs.
class copy_row {
 public:
  using codecs = detail::codecs;
  class field {
   public:
    field(const copy_row& of, std::size_t column) : of_(of), column_(column) {}
    template <class T>
    T as() const {
      using type = typename unwrapped<T>::type;
      const auto& text = of_.columns_[column_];
      if (!text) {
        if constexpr (may_be_null<T>) {
          return null_value<T>();
        } else {
          of_.throw_null(column_, &type_words<type>);
        }
      }
      try {
        return decode_value<type>(*text, 0);
      } catch (const error& failure) {
        of_.throw_unreadable(column_, &type_words<type>, failure);
      }
    }

   private:
    const copy_row& of_;
    std::size_t column_;
  };

  /// `number`: of the row, for errors; counts from 1.
  TIDEPOOL_LAZY explicit copy_row(std::string_view line, std::uint64_t number = 1, bool values_in_errors = false);
  std::size_t size() const noexcept { return columns_.size(); }
  field operator[](std::size_t column) const { return {*this, column}; }

 private:
  TIDEPOOL_LAZY [[noreturn, gnu::cold]] void throw_null(std::size_t column, std::string (*type)()) const;
  TIDEPOOL_LAZY [[noreturn, gnu::cold]] void throw_unreadable(std::size_t column, std::string (*type)(), const error& failure) const;
  TIDEPOOL_LAZY std::string name(std::size_t column) const;
  TIDEPOOL_LAZY static std::optional<std::string> unescape(std::string_view text);

  std::vector<std::optional<std::string>> columns_;
  std::uint64_t number_;
  bool values_in_errors_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#if TIDEPOOL_HEADER_ONLY
#include "../impl/copy_text.ipp"
#endif

#endif
