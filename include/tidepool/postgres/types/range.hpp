// SPDX-License-Identifier: BSL-1.0
// tidepool - ranges and multiranges.
#ifndef TIDEPOOL_POSTGRES_TYPES_RANGE_HPP
#define TIDEPOOL_POSTGRES_TYPES_RANGE_HPP

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../codec.hpp"
#include "../detail/quoted_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What lies between two bounds: `range<int>{1, 10}` is [1,10). A bound that is missing is infinite. The server turns ranges of integers
/// and dates into the form [lower,upper), so [1,3] comes back as [1,4).
template <class T>
struct range {
  range() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  range(std::optional<T> from, std::optional<T> to, bool with_lower = true, bool with_upper = false)
      : lower(std::move(from)), upper(std::move(to)), lower_inclusive(with_lower), upper_inclusive(with_upper) {}
  std::optional<T> lower;  ///< empty: no bound on this side
  std::optional<T> upper;
  bool lower_inclusive = true;
  bool upper_inclusive = false;
  /// Holds nothing; the other members mean nothing then.
  bool empty = false;

  static range nothing() {
    range out;
    out.empty = true;
    return out;
  }
  /// Whether it is within the bounds.
  bool contains(const T& value) const {
    if (empty) return false;
    if (lower && (lower_inclusive ? value < *lower : !(*lower < value))) return false;
    return !upper || (upper_inclusive ? !(*upper < value) : value < *upper);
  }
  /// Field by field; what means nothing is not compared.
  friend bool operator==(const range& a, const range& b) {
    if (a.empty || b.empty) return a.empty == b.empty;
    return a.lower == b.lower && a.upper == b.upper && (!a.lower || a.lower_inclusive == b.lower_inclusive) &&
           (!a.upper || a.upper_inclusive == b.upper_inclusive);
  }
};

/// Ranges that do not touch, in their order: a multirange of PostgreSQL 14 and newer.
template <class T>
struct multirange {
  multirange() = default;  // no aggregate, as range
  explicit multirange(std::vector<range<T>> parts) : ranges(std::move(parts)) {}
  std::vector<range<T>> ranges;
  friend bool operator==(const multirange&, const multirange&) = default;
};

namespace detail {

/// The types of ranges, where the type of their bounds is named: times and dates.
struct range_types {
  Oid bound, range, range_array, multirange, multirange_array;
};
template <class T>
constexpr range_types range_types_of() {
  constexpr range_types known[] = {{1184, 3910, 3911, 4534, 6153}, {1114, 3908, 3909, 4533, 6152}, {1082, 3912, 3913, 4535, 6155}};
  for (const auto& types : known) {
    if (codec_oid<codec_for<T>>() == types.bound) return types;
  }
  return {0, 0, 0, 0, 0};
}

template <class T>
void append_range(std::string& out, const range<T>& value) {
  if (value.empty) {
    out += "empty";
    return;
  }
  std::string word;
  const auto bound = [&](const std::optional<T>& at) {
    if (!at) return;
    word.clear();
    encode_text<codec_for<T>>(word, *at);
    append_quoted(out, word);
  };
  out += value.lower_inclusive && value.lower ? '[' : '(';
  bound(value.lower);
  out += ',';
  bound(value.upper);
  out += value.upper_inclusive && value.upper ? ']' : ')';
}
template <class T>
range<T> read_range(quoted_reader& in) {
  range<T> out;
  std::string word;
  bool present = false;
  out.lower_inclusive = in.accept('[');
  if (!out.lower_inclusive && !in.accept('(')) throw conversion_error("a range");
  if (!in.word(word, present, ",") || !in.accept(',')) throw conversion_error("a range");
  if (present) out.lower = decode_value<T>(word, 0);
  if (!in.word(word, present, ")]")) throw conversion_error("a range");
  if (present) out.upper = decode_value<T>(word, 0);
  out.upper_inclusive = in.accept(']');
  if (!out.upper_inclusive) (void)in.accept(')');
  return out;
}

}  // namespace detail

/// int4range, int8range, numrange, tsrange, tstzrange, daterange and ranges of your own, by the codec of their bounds.
template <class T>
requires(encodable<T> || decodable<T>) struct codec<range<T>> {
  static constexpr Oid oid = detail::range_types_of<T>().range;
  static constexpr Oid array_oid = detail::range_types_of<T>().range_array;
  static void encode(std::string& out, const range<T>& value) requires encodable<T> { detail::append_range(out, value); }
  static range<T> decode(std::string_view text) requires(decodable<T> && !std::is_same_v<T, std::string_view>) {
    if (text == "empty") return range<T>::nothing();
    detail::quoted_reader in(text);
    auto out = detail::read_range<T>(in);
    if (!in.at_end()) throw conversion_error("a range");
    return out;
  }
};
template <class T>
requires(encodable<T> || decodable<T>) struct codec<multirange<T>> {
  static constexpr Oid oid = detail::range_types_of<T>().multirange;
  static constexpr Oid array_oid = detail::range_types_of<T>().multirange_array;
  static void encode(std::string& out, const multirange<T>& value) requires encodable<T> {
    out += '{';
    for (const auto& one : value.ranges) {
      if (out.back() != '{') out += ',';
      detail::append_range(out, one);
    }
    out += '}';
  }
  static multirange<T> decode(std::string_view text) requires(decodable<T> && !std::is_same_v<T, std::string_view>) {
    multirange<T> out;
    detail::quoted_reader in(text);
    bool well = in.accept('{');
    if (well && !in.accept('}')) {
      do {
        out.ranges.push_back(detail::read_range<T>(in));
      } while (in.accept(','));
      well = in.accept('}');
    }
    if (!well || !in.at_end()) throw conversion_error("a multirange");
    return out;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
