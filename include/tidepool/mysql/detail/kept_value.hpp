// SPDX-License-Identifier: BSL-1.0
// tidepool - one value of a result or of a parameter, whatever its type.
#ifndef TIDEPOOL_MYSQL_DETAIL_KEPT_VALUE_HPP
#define TIDEPOOL_MYSQL_DETAIL_KEPT_VALUE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// The kinds of values that MySQL sends, over all its types.
enum class storage : unsigned char {
  null,
  integer,   ///< TINYINT to BIGINT, YEAR
  natural,   ///< the same UNSIGNED, and BIT
  single,    ///< FLOAT
  real,      ///< DOUBLE
  decimal,   ///< DECIMAL, in digits
  text,      ///< CHAR, VARCHAR, TEXT, ENUM, SET, JSON
  bytes,     ///< BINARY, VARBINARY, BLOB, GEOMETRY
  date,      ///< DATE
  datetime,  ///< DATETIME and TIMESTAMP
  time       ///< TIME, in microseconds
};

/// A day and a time of the day as the server prints them. MySQL's zero dates have a zero as month and day.
struct civil_time {
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micro = 0;

  /// "0000-00-00".
  constexpr bool is_zero() const noexcept { return year == 0 && month == 0 && day == 0; }
  constexpr std::uint64_t packed() const noexcept {
    const auto at = [](unsigned part, unsigned shift) { return static_cast<std::uint64_t>(part) << shift; };
    return at(year, 46U) | at(month, 42U) | at(day, 37U) | at(hour, 32U) | at(minute, 26U) | at(second, 20U) | micro;
  }
  static constexpr civil_time unpacked(std::uint64_t all) noexcept {
    const auto part = [all](unsigned shift, unsigned bits) { return static_cast<unsigned>((all >> shift) & ((1U << bits) - 1U)); };
    return {part(46, 14), part(42, 4), part(37, 5), part(32, 5), part(26, 6), part(20, 6), part(0, 20)};
  }
};

/// One value of a result. Texts and bytes point into the result.
class value {
 public:
  value() = default;
  value(storage kind, std::uint64_t number, double real, std::string_view bytes) noexcept
      : kind_(kind), natural_(number), real_(real), bytes_(bytes) {}

  storage kind() const noexcept { return kind_; }
  bool is_null() const noexcept { return kind_ == storage::null; }
  /// What fits the kind; zero or empty where that is another.
  std::int64_t integer() const noexcept { return static_cast<std::int64_t>(natural_); }
  std::uint64_t natural() const noexcept { return natural_; }
  double real() const noexcept { return real_; }
  /// Of `text`, `decimal` and `bytes`.
  std::string_view text() const noexcept { return bytes_; }
  /// Of `date` and `datetime`.
  civil_time civil() const noexcept { return civil_time::unpacked(natural_); }
  /// Of `time`.
  std::int64_t micros() const noexcept { return integer(); }
  /// A date that MySQL has instead of NULL: "0000-00-00".
  bool is_zero_date() const noexcept { return (kind_ == storage::date || kind_ == storage::datetime) && civil().is_zero(); }

 private:
  storage kind_ = storage::null;
  std::uint64_t natural_ = 0;
  double real_ = 0;
  std::string_view bytes_ = {};
};

namespace detail {

/// A value in a block of many: texts and bytes are in the block's bytes.
struct kept_value {
  union {
    std::uint64_t natural = 0;  ///< also where the bytes begin, and dates in a packed form
    std::int64_t integer;
    double real;
  };
  std::uint32_t size = 0;
  storage kind = storage::null;

  value in(const std::string& bytes) const noexcept {
    switch (kind) {
      case storage::single:
      case storage::real: return {kind, 0, real, {}};
      case storage::decimal:
      case storage::text:
      case storage::bytes: return {kind, 0, 0, std::string_view(bytes.data() + natural, size)};
      default: return {kind, natural, 0, {}};
    }
  }
};

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
