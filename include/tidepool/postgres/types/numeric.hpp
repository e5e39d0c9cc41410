// SPDX-License-Identifier: BSL-1.0
// tidepool - numeric, exactly: its decimal digits.
#ifndef TIDEPOOL_POSTGRES_TYPES_NUMERIC_HPP
#define TIDEPOOL_POSTGRES_TYPES_NUMERIC_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// An exact decimal number as PostgreSQL has it, with NaN and, in PostgreSQL 14 and newer, infinities. It holds the number's text and does
/// not calculate: give `text()` to the decimal library of your choice. Its scale is kept: 1.10 is sent as 1.10. Copies allocate above 15
/// characters.
class numeric {
 public:
  /// 0.
  numeric() : text_("0") {}
  template <std::integral I>
  requires(!std::same_as<I, bool> && !detail::character<I>) numeric(I value) { codec<I>::encode(text_, value); }
  /// "-12.50", "NaN", "Infinity", "-Infinity"; without an exponent. Anything else is `errc::bad_parameter`.
  explicit numeric(std::string_view text) {
    if (!assign(text)) throw error(errc::bad_parameter, "not a decimal number such as -12.50, NaN or Infinity, without an exponent");
  }
  /// The shortest decimal number that reads back as the same double.
  static numeric from_double(double value) {
    std::string text;
    codec<double>::encode(text, value);
    if (text == "inf") text = "Infinity";
    if (text == "-inf") text = "-Infinity";
    if (text.find('e') != std::string::npos) {
      std::array<char, 512> fixed;  // the longest has 345 characters
      text.assign(fixed.data(), std::to_chars(fixed.data(), fixed.data() + fixed.size(), value, std::chars_format::fixed).ptr);
    }
    return numeric(text);
  }

  std::string_view text() const noexcept { return text_; }
  bool is_nan() const noexcept { return text_ == "NaN"; }
  bool is_infinite() const noexcept { return text_.ends_with("Infinity"); }
  bool is_finite() const noexcept { return !is_nan() && !is_infinite(); }
  bool is_negative() const noexcept { return text_.starts_with('-'); }
  /// Digits after the point.
  std::size_t scale() const noexcept { return parts().fraction.size(); }

  /// Exactly: a fraction other than zeros, or a number out of range, is `errc::conversion`.
  template <class I>
  I to_integer() const {
    if (!is_finite()) throw conversion_error("a finite number");
    const auto [negative, whole, fraction] = parts();
    if (fraction.find_first_not_of('0') != std::string_view::npos) throw conversion_error("a whole number");
    const bool zero = whole == "0";
    return codec<I>::decode(negative && !zero ? text_.substr(0, whole.size() + 1) : std::string(whole));
  }
  /// The nearest one; beyond the range of double `errc::conversion`.
  double to_double() const { return codec<double>::decode(text_); }

  /// By value, whatever the scales: as the server, NaN equals NaN and is above everything.
  friend std::weak_ordering operator<=>(const numeric& a, const numeric& b) {
    const auto rank = [](const numeric& n) { return n.is_nan() ? 2 : n.is_infinite() ? (n.is_negative() ? -1 : 1) : 0; };
    if (rank(a) != 0 || rank(b) != 0) return rank(a) <=> rank(b);
    const auto left = a.parts(), right = b.parts();
    const int left_sign = left.sign(), right_sign = right.sign();
    if (left_sign != right_sign) return left_sign <=> right_sign;
    return left_sign < 0 ? right.compare(left) : left.compare(right);
  }
  friend bool operator==(const numeric& a, const numeric& b) { return (a <=> b) == std::weak_ordering::equivalent; }

 private:
  friend struct codec<numeric>;
  struct pieces {
    bool negative;
    std::string_view whole, fraction;

    int sign() const {
      const bool zero = whole == "0" && fraction.find_first_not_of('0') == std::string_view::npos;
      return zero ? 0 : negative ? -1 : 1;
    }
    /// Of sizes, without the sign.
    std::weak_ordering compare(const pieces& other) const {
      if (whole.size() != other.whole.size()) return whole.size() <=> other.whole.size();
      // Not `<=>`, which string_view does not have in libc++ before version 16.
      if (whole != other.whole) return whole.compare(other.whole) <=> 0;
      const auto common = std::min(fraction.size(), other.fraction.size());
      if (const int order = fraction.substr(0, common).compare(other.fraction.substr(0, common)); order != 0) return order <=> 0;
      const bool more = fraction.find_first_not_of('0', common) != std::string_view::npos;
      const bool less = other.fraction.find_first_not_of('0', common) != std::string_view::npos;
      return static_cast<int>(more) <=> static_cast<int>(less);
    }
  };
  pieces parts() const {
    if (!is_finite()) return {false, "0", {}};
    const std::string_view size = std::string_view(text_).substr(is_negative() ? 1 : 0);
    const auto point = size.find('.');
    return {is_negative(), size.substr(0, point), point == std::string_view::npos ? std::string_view() : size.substr(point + 1)};
  }
  /// False for what is no number. Zeros in front and signs that say nothing are dropped.
  bool assign(std::string_view text) {
    if (text == "NaN" || text == "Infinity" || text == "-Infinity") {
      text_ = text;
      return true;
    }
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    const auto point = std::min(text.find('.'), text.size());
    auto whole = text.substr(0, point);
    const auto fraction = text.substr(std::min(point + 1, text.size()));
    constexpr std::string_view digits = "0123456789";
    if (whole.empty() && fraction.empty()) return false;
    if (whole.find_first_not_of(digits) != std::string_view::npos || fraction.find_first_not_of(digits) != std::string_view::npos)
      return false;
    whole.remove_prefix(std::min(whole.find_first_not_of('0'), whole.size()));
    const bool zero = whole.empty() && fraction.find_first_not_of('0') == std::string_view::npos;
    text_ = negative && !zero ? "-" : "";
    text_ += whole.empty() ? "0" : whole;
    if (!fraction.empty()) (text_ += '.') += fraction;
    return true;
  }

  std::string text_;
};

/// numeric, and every other type of number: the statement says which. Sent to an integer column a fraction is the server's error.
template <>
struct codec<numeric> {
  static void encode(std::string& out, const numeric& value) { out += value.text(); }
  static numeric decode(std::string_view text, Oid type = 0) {
    numeric out;
    if (detail::is_bits(type) || !out.assign(text)) throw conversion_error("a decimal number without an exponent");
    return out;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
