// SPDX-License-Identifier: BSL-1.0
// tidepool - reads and writes the text form of PostgreSQL's arrays.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../detail/util/linkage.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_ARRAY_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ARRAY_TEXT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "types.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// The elements of a sequence that is an array to the server. A sequence of bytes is a value.
template <class T>
struct sequence {
  static constexpr bool is_array = false;
};
template <class T>
struct array_of {
  static constexpr bool is_array = !byte<T> && !ambiguous_byte<T>;
  using element = T;
};
template <class T>
struct sequence<std::vector<T>> : array_of<T> {};
template <class T, std::size_t N>
struct sequence<std::array<T, N>> : array_of<T> {};
template <class T, std::size_t N>
struct sequence<std::span<T, N>> : array_of<std::remove_const_t<T>> {};
template <class T>
using element_of = typename sequence<T>::element;

/// True for a sequence in a sequence, which is a further dimension.
template <class T>
using is_nested = std::bool_constant<sequence<T>::is_array>;

/// The number of dimensions, and the innermost type, of an array whose elements are T.
template <class T>
struct dimension {
  static constexpr std::size_t depth = 1;
  using scalar = typename unwrapped<T>::type;
};
template <class T>
requires(is_nested<T>::value) struct dimension<T> {
  static constexpr std::size_t depth = 1 + dimension<element_of<T>>::depth;
  using scalar = typename dimension<element_of<T>>::scalar;
};

/// Reads `{1,2,NULL,"a,b"}`, `{{1,2},{3,4}}`, `[0:1]={7,8}`: what `array_out` of the server prints, and nothing else.
class array_reader {
 public:
  array_reader(std::string_view text, char delimiter, Oid element) : text_(text), delimiter_(delimiter), element_(element) {}

  template <class Array>
  void read(Array& out, std::vector<int>& lower_bounds) {
    const auto lengths = bounds(lower_bounds);
    values(out);
    std::vector<std::size_t> found;
    measure(out, found, 0);
    finish(lengths, found);
  }

 private:
  [[noreturn]] TIDEPOOL_DECL static void fail();
  [[noreturn]] TIDEPOOL_DECL static void wrong_length(std::size_t wanted);
  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  TIDEPOOL_DECL void expect(char c);
  TIDEPOOL_DECL int bound();
  /// The bounds, where they are printed; the lengths of the dimensions.
  TIDEPOOL_DECL std::vector<std::size_t> bounds(std::vector<int>& lower_bounds);
  /// The next element as text; false: it is NULL.
  TIDEPOOL_DECL bool next_word();
  /// Of an inner array. The server's are of equal lengths.
  TIDEPOOL_DECL static void add_length(std::vector<std::size_t>& lengths, std::size_t level, std::size_t length);
  TIDEPOOL_DECL void finish(const std::vector<std::size_t>& printed, const std::vector<std::size_t>& found) const;

  template <class T>
  void values(std::vector<T>& out) {
    expect('{');
    if (accept('}')) return;
    do {
      if constexpr (is_nested<T>::value) {
        out.emplace_back();
        values(out.back());
      } else {
        out.push_back(element<T>());
      }
    } while (accept(delimiter_));
    expect('}');
  }
  /// As many as it holds, and no other number.
  template <class T, std::size_t N>
  void values(std::array<T, N>& out) {
    expect('{');
    std::size_t read = 0;
    if (!accept('}')) {
      do {
        if (read == N) wrong_length(N);
        if constexpr (is_nested<T>::value) {
          values(out[read]);
        } else {
          out[read] = element<T>();
        }
        ++read;
      } while (accept(delimiter_));
      expect('}');
    }
    if (read != N) wrong_length(N);
  }
  template <class T>
  T element() {
    if (!next_word()) {
      if constexpr (may_be_null<T>) {
        return null_value<T>();
      } else {
        throw error(errc::null_value, "NULL in an array");
      }
    }
    return decode_value<typename unwrapped<T>::type>(word_, element_);
  }
  /// The lengths of all dimensions.
  template <class Array>
  static void measure(const Array& of, std::vector<std::size_t>& lengths, std::size_t level) {
    add_length(lengths, level, of.size());
    if constexpr (is_nested<element_of<Array>>::value) {
      for (const auto& inner : of) measure(inner, lengths, level + 1);
    }
  }

  std::string_view text_;
  char delimiter_;
  Oid element_;
  std::size_t at_ = 0;
  std::string word_;
};

/// Recognises an array of boxes, or a multirange, without knowing its type: split at the commas, an element would have only one of its
/// two brackets.
TIDEPOOL_DECL bool halves_at_commas(std::string_view text);

/// The delimiter of a column's array. An error where it cannot be known, rather than wrong elements.
template <class T>
char read_delimiter(std::string_view text, Oid type, char stated) {
  using scalar = typename dimension<T>::scalar;
  if (type == type_oid::box_array) return ';';
  if (braces_without_array(type)) throw conversion_error("an array");
  if (type == type_oid::int2vector || type == type_oid::oidvector) {
    throw conversion_error("an array in braces: select it as int2[] or oid[]");
  }
  if (stated != '\0') return stated;
  if constexpr (requires { codec<scalar>::delimiter; }) {
    return codec<scalar>::delimiter;
  } else if constexpr (std::same_as<scalar, std::string>) {
    if (type >= type_oid::first_of_users) {
      throw conversion_error("an array of a type whose delimiter is known: select it as text[], or read a bounded_array<std::string, ','>");
    }
    if (type == 0 && halves_at_commas(text)) {
      throw conversion_error("an array separated by commas: name its delimiter, as in bounded_array<std::string, ';'>");
    }
  }
  return ',';
}
template <class T>
char sent_delimiter(char stated) {
  using scalar = typename dimension<T>::scalar;
  if (stated != '\0') return stated;
  if constexpr (requires { codec<scalar>::delimiter; }) {
    return codec<scalar>::delimiter;
  } else {
    return ',';
  }
}

template <class Array>
struct array_contents {
  Array values{};
  std::vector<int> lower_bounds;
};
template <class Array>
array_contents<Array> read_array(std::string_view text, Oid type, char stated) {
  array_contents<Array> out;
  array_reader(text, read_delimiter<element_of<Array>>(text, type, stated), element_type(type)).read(out.values, out.lower_bounds);
  return out;
}

template <class Array>
void append_array(std::string& out, const Array& values, char delimiter) {
  using T = element_of<Array>;
  out += '{';
  bool first = true;
  std::string word;
  for (const auto& value : values) {
    if (!first) out += delimiter;
    first = false;
    if constexpr (is_nested<T>::value) {
      append_array(out, value, delimiter);
    } else {
      const T& element = value;  // vector<bool> hands out proxies
      if (is_null(element)) {
        out += "NULL";
        continue;
      }
      word.clear();
      encode_text<codec_for<T>>(word, strip_optional(element));
      out += '"';
      for (const char c : word) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      out += '"';
    }
  }
  out += '}';
}

template <class T>
void append_bounds(std::string& out, const std::vector<T>& values, const std::vector<int>& lower_bounds) {
  if (lower_bounds.empty()) return;
  if (lower_bounds.size() != dimension<T>::depth) {
    throw error(errc::bad_parameter, "an array with " + std::to_string(lower_bounds.size()) + " lower bounds for " +
                                         std::to_string(dimension<T>::depth) + " dimensions");
  }
  const auto one = [&out](std::int64_t lower, std::size_t length) {
    out += '[' + std::to_string(lower) + ':' + std::to_string(lower + static_cast<std::int64_t>(length) - 1) + ']';
  };
  const auto each = [&](const auto& self, const auto& of, std::size_t level) -> void {
    if (of.empty()) throw error(errc::bad_parameter, "an inner array that is empty");
    one(lower_bounds[level], of.size());
    if constexpr (is_nested<element_of<std::remove_cvref_t<decltype(of)>>>::value) {
      self(self, of.front(), level + 1);
    }
  };
  each(each, values, 0);
  out += '=';
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
