// SPDX-License-Identifier: BSL-1.0
// tidepool - codec<T>: converts a C++ type to and from MySQL's values. Specialise it for your own types.
#ifndef TIDEPOOL_MYSQL_CODEC_HPP
#define TIDEPOOL_MYSQL_CODEC_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../detail/driver/value_type.hpp"
#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "detail/kept_value.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// Where a codec puts the value of a parameter: by one call of one of these.
class parameter {
 public:
  explicit parameter(std::string& bytes) noexcept : bytes_(bytes) {}
  parameter(const parameter&) = delete;
  parameter& operator=(const parameter&) = delete;

  void integer(std::int64_t number) noexcept {
    made_.kind = storage::integer;
    made_.integer = number;
  }
  void natural(std::uint64_t number) noexcept {
    made_.kind = storage::natural;
    made_.natural = number;
  }
  void single(float number) noexcept {
    made_.kind = storage::single;
    made_.real = static_cast<double>(number);
  }
  void real(double number) noexcept {
    made_.kind = storage::real;
    made_.real = number;
  }
  /// UTF-8; a NUL byte may be part of it.
  void text(std::string_view words) { keep(storage::text, words); }
  /// A decimal number in digits, exact.
  void decimal(std::string_view digits) { keep(storage::decimal, digits); }
  /// A BLOB or BINARY.
  void bytes(std::span<const std::byte> given) {
    keep(storage::bytes, std::string_view(reinterpret_cast<const char*>(given.data()), given.size()));
  }
  /// A DATE; its time of the day is not used.
  void date(const civil_time& when) noexcept { keep(storage::date, when.packed()); }
  /// A DATETIME or TIMESTAMP.
  void datetime(const civil_time& when) noexcept { keep(storage::datetime, when.packed()); }
  /// A TIME, in microseconds.
  void time(std::int64_t micros) noexcept {
    made_.kind = storage::time;
    made_.integer = micros;
  }

  const detail::kept_value& made() const noexcept { return made_; }

 private:
  void keep(storage kind, std::uint64_t packed) noexcept {
    made_.kind = kind;
    made_.natural = packed;
  }
  void keep(storage kind, std::string_view given) {
    if (given.size() > std::size_t{1} << 30U) refuse_size();
    made_.kind = kind;
    made_.natural = bytes_.size();
    made_.size = static_cast<std::uint32_t>(given.size());
    bytes_ += given;
  }
  TIDEPOOL_LAZY [[noreturn]] static void refuse_size();

  std::string& bytes_;
  detail::kept_value made_{};
};

/// Specialise it for a type of your own:
///
///     template <> struct tidepool::mysql::codec<point> {
///       static void encode(parameter& out, const point& p) { out.text(p.text()); }
///       static point decode(const value& v) { return point(v.text()); }   // throws conversion_error(...) when it is none
///     };
/// NULL is `std::optional<T>`; a codec never sees it. What cannot be given throws `error(errc::bad_parameter, ...)`, to which the
/// parameter's number is added.
template <class T>
struct codec;

/// What `decode` throws; the row adds the column's name and what the value is.
template <class = void>
[[nodiscard, gnu::cold]] inline error conversion_error(std::string_view expected) {
  return {errc::conversion, "not " + std::string(expected)};
}

namespace detail {

using tidepool::detail::is_optional;
using tidepool::detail::points_to;
using tidepool::detail::strip_optional;
using tidepool::detail::unwrapped;

/// The codec of a parameter: string literals and all string types are text; a null pointer to char is NULL.
template <class T>
using codec_type = std::conditional_t<std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::nullopt_t> || points_to<T, char>,
                                      std::string_view, typename unwrapped<std::remove_cvref_t<T>>::type>;
template <class T>
using codec_for = codec<codec_type<T>>;

template <class T>
bool is_null(const T& given) {
  if constexpr (is_optional<T>::value) {
    return !given.has_value();
  } else if constexpr (std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::nullopt_t>) {
    return true;
  } else if constexpr (std::is_pointer_v<T> && points_to<T, char>) {
    return given == nullptr;
  } else {
    return false;
  }
}

/// The digits of a DECIMAL as a number. Throw a conversion error.
TIDEPOOL_LAZY std::int64_t integer_of_decimal(std::string_view digits);
TIDEPOOL_LAZY std::uint64_t natural_of_decimal(std::string_view digits);
TIDEPOOL_LAZY double real_of_decimal(std::string_view digits);

}  // namespace detail

/// Can be read out of a column.
template <class T>
concept decodable = requires(const value& v) {
  { codec<typename detail::unwrapped<T>::type>::decode(v) } -> std::convertible_to<typename detail::unwrapped<T>::type>;
};
/// Can be a parameter.
template <class T>
concept encodable = requires(parameter& out, const detail::codec_type<T>& given) {
  detail::codec_for<T>::encode(out, given);
};

// --- text ----------------------------------------------------------------------------------------------------------

namespace detail {
template <class = void>
inline std::string_view text_of(const value& v) {
  if (v.kind() != storage::text && v.kind() != storage::decimal && v.kind() != storage::bytes) throw conversion_error("a text");
  return v.text();
}
}  // namespace detail

/// CHAR, VARCHAR, TEXT, ENUM, SET, JSON, DECIMAL, and the bytes of BLOB and BINARY as they are. The view is valid as long as the `result`
/// it comes from.
template <>
struct codec<std::string_view> {
  static void encode(parameter& out, std::string_view given) { out.text(given); }
  template <class = void>
  static std::string_view decode(const value& v) {
    return detail::text_of(v);
  }
};
template <>
struct codec<std::string> {
  static void encode(parameter& out, const std::string& given) { out.text(given); }
  template <class = void>
  static std::string decode(const value& v) {
    return std::string(detail::text_of(v));
  }
};

// --- numbers -------------------------------------------------------------------------------------------------------

/// TINYINT(1) and BIT(1): 1 and 0; reading anything else is an error.
template <>
struct codec<bool> {
  static void encode(parameter& out, bool given) { out.integer(given ? 1 : 0); }
  template <class = void>
  static bool decode(const value& v) {
    const bool number = v.kind() == storage::integer || v.kind() == storage::natural;
    if (!number || v.natural() > 1) throw conversion_error("0 or 1");
    return v.natural() == 1;
  }
};

/// Range-checked: a value that does not fit is an error, never cut. A DECIMAL, which SUM() returns, is read where it has no fraction; BIT
/// is a number without a sign.
template <class T>
requires(std::integral<T> && !std::same_as<T, bool> && !tidepool::detail::character<T>) struct codec<T> {
  static void encode(parameter& out, T given) {
    if constexpr (std::signed_integral<T>) {
      out.integer(given);
    } else {
      out.natural(given);
    }
  }
  static T decode(const value& v) {
    switch (v.kind()) {
      case storage::integer: return checked(v.integer());
      case storage::natural: return checked(v.natural());
      case storage::decimal:
        if constexpr (std::signed_integral<T>) {
          return checked(detail::integer_of_decimal(v.text()));
        } else {
          return checked(detail::natural_of_decimal(v.text()));
        }
      default: throw conversion_error("an integer");
    }
  }

 private:
  template <class Number>
  static T checked(Number number) {
    if (!std::in_range<T>(number)) {
      throw conversion_error("within the range of " + std::string(std::unsigned_integral<T> ? "an unsigned " : "a ") +
                             std::to_string(8 * sizeof(T)) + "-bit integer");
    }
    return static_cast<T>(number);
  }
};

/// FLOAT and DOUBLE, exact in both directions; an integer where it is exact; the nearest value to a DECIMAL. A `float` takes the nearest
/// value of a DOUBLE. MySQL has neither infinities nor NaN: `errc::bad_parameter`.
template <std::floating_point T>
struct codec<T> {
  static void encode(parameter& out, T given) {
    if (!(given - given == 0)) throw error(errc::bad_parameter, "an infinity or NaN, which MySQL does not have");
    if constexpr (sizeof(T) == sizeof(float)) {
      out.single(given);
    } else {
      out.real(static_cast<double>(given));
    }
  }
  static T decode(const value& v) {
    constexpr std::int64_t most = std::int64_t{1} << std::numeric_limits<T>::digits;
    switch (v.kind()) {
      case storage::integer:
        if (v.integer() > most || v.integer() < -most) break;
        return static_cast<T>(v.integer());
      case storage::natural:
        if (v.natural() > static_cast<std::uint64_t>(most)) break;
        return static_cast<T>(v.natural());
      case storage::single:
      case storage::real: return fit(v.real());
      case storage::decimal: return fit(detail::real_of_decimal(v.text()));
      default: throw conversion_error("a number");
    }
    throw conversion_error("exact as a floating-point number");
  }

 private:
  static T fit(double number) {
    constexpr double most = static_cast<double>(std::numeric_limits<T>::max());
    if (number > most || number < -most) throw conversion_error("within the range of the floating-point type");
    return static_cast<T>(number);
  }
};
static_assert(std::numeric_limits<double>::digits < 63);

/// A DECIMAL in its digits, exact in both directions: `decimal{"123.450"}`. A `std::string` as a parameter would be compared as a double.
struct decimal {
  decimal() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  explicit decimal(std::string digits) noexcept : text(std::move(digits)) {}
  std::string text;
  friend bool operator==(const decimal&, const decimal&) = default;
};
template <>
struct codec<decimal> {
  template <class = void>
  static void encode(parameter& out, const decimal& given) {
    bool digit = false, point = false, right = !given.text.empty();
    for (std::size_t i = 0; i < given.text.size(); ++i) {
      const char c = given.text[i];
      if (c >= '0' && c <= '9') {
        digit = true;
      } else if (c == '.' && !point) {
        point = true;
      } else if (i != 0 || (c != '-' && c != '+')) {
        right = false;
      }
    }
    if (!right || !digit) throw error(errc::bad_parameter, "a decimal is written in digits, with a sign and a point where it has them");
    out.decimal(given.text);
  }
  template <class = void>
  static decimal decode(const value& v) {
    if (v.kind() == storage::integer) return decimal(std::to_string(v.integer()));
    if (v.kind() == storage::natural) return decimal(std::to_string(v.natural()));
    if (v.kind() != storage::decimal) throw conversion_error("a decimal number");
    return decimal(std::string(v.text()));
  }
};

// --- other texts ---------------------------------------------------------------------------------------------------

/// JSON as text; parse it with the library of your choice.
struct json {
  json() = default;  // no aggregate, as decimal
  explicit json(std::string document) noexcept : text(std::move(document)) {}
  std::string text;
  friend bool operator==(const json&, const json&) = default;
};
template <>
struct codec<json> {
  static void encode(parameter& out, const json& given) { out.text(given.text); }
  template <class = void>
  static json decode(const value& v) {
    return json(std::string(detail::text_of(v)));
  }
};

/// A UUID: sent in its 36 characters, as MariaDB's type and CHAR(36) take it; read from these, and from 16 bytes. For BINARY(16) columns
/// `std::array<std::byte, 16>` is sent as bytes.
struct uuid {
  std::array<std::byte, 16> bytes{};
  friend bool operator==(const uuid&, const uuid&) = default;
  TIDEPOOL_LAZY std::string text() const;
  /// Throws a conversion error.
  TIDEPOOL_LAZY static uuid parse(std::string_view text);
};
template <>
struct codec<uuid> {
  template <class = void>
  static void encode(parameter& out, const uuid& given) {
    out.text(given.text());
  }
  template <class = void>
  static uuid decode(const value& v) {
    const auto raw = detail::text_of(v);
    if (v.kind() != storage::bytes || raw.size() != 16) return uuid::parse(raw);
    uuid out;
    for (std::size_t i = 0; i < 16; ++i) out.bytes[i] = static_cast<std::byte>(raw[i]);
    return out;
  }
};

// --- bytes ---------------------------------------------------------------------------------------------------------

namespace detail {

template <class Range>
struct bytes_codec {
  static void encode(parameter& out, const Range& given) { out.bytes(std::as_bytes(std::span(given))); }
};
template <class = void>
inline std::string_view bytes_of(const value& v) {
  if (v.kind() != storage::bytes) throw conversion_error("bytes: a BLOB or BINARY");
  return v.text();
}

}  // namespace detail

/// BLOB, BINARY, VARBINARY, as `std::byte` or `unsigned char`.
template <tidepool::detail::byte B>
struct codec<std::vector<B>> : detail::bytes_codec<std::vector<B>> {
  static std::vector<B> decode(const value& v) {
    const auto raw = detail::bytes_of(v);
    const B* const from = reinterpret_cast<const B*>(raw.data());
    return std::vector<B>(from, from + raw.size());
  }
};
/// Bytes of exactly that number: `std::array<std::byte, 16>` is a BINARY(16).
template <tidepool::detail::byte B, std::size_t Size>
struct codec<std::array<B, Size>> : detail::bytes_codec<std::array<B, Size>> {
  static std::array<B, Size> decode(const value& v) {
    const auto raw = detail::bytes_of(v);
    if (raw.size() != Size) throw conversion_error(std::to_string(Size) + " bytes");
    std::array<B, Size> out{};
    for (std::size_t i = 0; i < Size; ++i) out[i] = static_cast<B>(raw[i]);
    return out;
  }
};
/// For parameters only.
template <class B, std::size_t Extent>
requires tidepool::detail::byte<std::remove_const_t<B>>
struct codec<std::span<B, Extent>> : detail::bytes_codec<std::span<B, Extent>> {
};

// --- enumerations --------------------------------------------------------------------------------------------------

/// Base for the codec of an enumeration that is sent and read by the names of its values, as an ENUM column has them:
///
///     template <> struct tidepool::mysql::codec<mood> : tidepool::mysql::enum_codec<mood> {
///       static constexpr std::pair<mood, std::string_view> names[] = {{mood::sad, "sad"}, {mood::happy, "happy"}};
///     };
/// A value without a name is `bad_parameter`, another name a conversion error.
template <class E>
struct enum_codec {
  static void encode(parameter& out, E given) {
    for (const auto& [entry, name] : codec<E>::names) {
      if (entry == given) return out.text(name);
    }
    throw error(errc::bad_parameter,
                "an enumeration's value " + std::to_string(static_cast<std::underlying_type_t<E>>(given)) + " has no name in its codec");
  }
  static E decode(const value& v) {
    for (const auto& [entry, name] : codec<E>::names) {
      if (name == detail::text_of(v)) return entry;
    }
    throw conversion_error("a known name of the enumeration");
  }
};
/// Base for the codec of an enumeration that is stored as an integer. The number is not checked against the enumerators.
template <class E>
requires std::is_enum_v<E>
struct enum_number_codec {
  using number = std::underlying_type_t<E>;  ///< what is sent and read
  static void encode(parameter& out, E given) { codec<number>::encode(out, static_cast<number>(given)); }
  static E decode(const value& v) { return static_cast<E>(codec<number>::decode(v)); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/codec.ipp"
#endif

#include "codec_time.hpp"

#endif
