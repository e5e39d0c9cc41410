// SPDX-License-Identifier: BSL-1.0
// tidepool - codec<T>: converts a C++ type to and from SQLite's five kinds of values. Specialise it for your own types.
#ifndef TIDEPOOL_SQLITE_CODEC_HPP
#define TIDEPOOL_SQLITE_CODEC_HPP

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
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// What SQLite keeps a value as, whatever the type of its column says.
enum class storage : unsigned char { null, integer, real, text, blob };

/// One value of a result. Text and blobs point into the result.
class value {
 public:
  value() = default;
  explicit value(std::int64_t number) noexcept : kind_(storage::integer), integer_(number) {}
  explicit value(double number) noexcept : kind_(storage::real), real_(number) {}
  value(storage kind, std::string_view bytes) noexcept : kind_(kind), bytes_(bytes) {}

  storage kind() const noexcept { return kind_; }
  bool is_null() const noexcept { return kind_ == storage::null; }
  /// Zero where the kind is another; the same for the others.
  std::int64_t integer() const noexcept { return integer_; }
  double real() const noexcept { return real_; }
  std::string_view text() const noexcept { return kind_ == storage::text ? bytes_ : std::string_view(); }
  /// Empty where it is another kind of value.
  std::span<const std::byte> blob() const noexcept {
    if (kind_ != storage::blob) return {};
    return std::as_bytes(std::span(bytes_.data(), bytes_.size()));
  }

 private:
  storage kind_ = storage::null;
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::string_view bytes_ = {};
};

namespace detail {

/// A value in a block of many: text and blobs are in the block's bytes.
struct kept_value {
  union {
    std::int64_t integer = 0;
    double real;
    std::size_t at;
  };
  std::uint32_t size = 0;
  storage kind = storage::null;

  value in(const std::string& bytes) const noexcept {
    switch (kind) {
      case storage::null: return {};
      case storage::integer: return value(integer);
      case storage::real: return value(real);
      default: return {kind, std::string_view(bytes).substr(at, size)};
    }
  }
};

}  // namespace detail

/// Where a codec puts the value of a parameter: exactly one call.
class parameter {
 public:
  explicit parameter(std::string& bytes) noexcept : bytes_(bytes) {}

  /// NULL.
  void null() noexcept { made_ = {}; }
  void integer(std::int64_t number) noexcept {
    made_.kind = storage::integer;
    made_.integer = number;
  }
  /// NaN is refused: SQLite would keep NULL.
  template <class = void>
  void real(double number) {
    if (number != number) throw error(errc::bad_parameter, "NaN, which SQLite keeps as NULL: give std::nullopt if that is meant");
    made_.kind = storage::real;
    made_.real = number;
  }
  /// UTF-8, without a NUL byte: `errc::bad_parameter`.
  template <class = void>
  void text(std::string_view words) {
    check_size(words.size());  // before it is read
    if (words.find('\0') != std::string_view::npos) {
      throw error(errc::bad_parameter, "a text with a NUL byte: give bytes as std::vector<std::byte>");
    }
    keep(storage::text, words);
  }
  /// A blob of these bytes, which are copied.
  template <class = void>
  void blob(std::span<const std::byte> bytes) {
    keep(storage::blob, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

  const detail::kept_value& made() const noexcept { return made_; }

 private:
  void keep(storage kind, std::string_view bytes) {
    check_size(bytes.size());
    made_.kind = kind;
    made_.at = bytes_.size();
    made_.size = static_cast<std::uint32_t>(bytes.size());
    bytes_ += bytes;
  }
  static void check_size(std::size_t bytes) {
    if (bytes > std::size_t{1} << 30U) refuse_size();
  }
  TIDEPOOL_LAZY [[noreturn]] static void refuse_size();

  std::string& bytes_;
  detail::kept_value made_{};
};

/// Specialise it for a type of your own:
///
///     template <> struct tidepool::sqlite::codec<point> {
///       static void encode(parameter& out, const point& p) { out.text(p.text()); }
///       static point decode(const value& v) { return point(v.text()); }   // throws conversion_error(...) when it is none
///     };
/// NULL is `std::optional<T>`; a codec never sees it. What cannot be given throws `error(errc::bad_parameter, ...)`, to which the
/// parameter's number is added.
template <class T>
struct codec;

/// What `decode` throws; the row adds the column's name and what the value is.
template <class = void>
[[nodiscard]] inline error conversion_error(std::string_view expected) {
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
  if (v.kind() != storage::text) throw conversion_error("a text");
  return v.text();
}
}  // namespace detail

/// The view is valid as long as the `result` it comes from.
template <>
struct codec<std::string_view> {
  template <class = void>
  static void encode(parameter& out, std::string_view given) {
    out.text(given);
  }
  template <class = void>
  static std::string_view decode(const value& v) {
    return detail::text_of(v);
  }
};
template <>
struct codec<std::string> {
  template <class = void>
  static void encode(parameter& out, const std::string& given) {
    out.text(given);
  }
  template <class = void>
  static std::string decode(const value& v) {
    return std::string(detail::text_of(v));
  }
};

// --- numbers -------------------------------------------------------------------------------------------------------

/// SQLite has no boolean: 1 and 0; reading anything else is an error.
template <>
struct codec<bool> {
  static void encode(parameter& out, bool given) { out.integer(given ? 1 : 0); }
  template <class = void>
  static bool decode(const value& v) {
    if (v.kind() != storage::integer || (v.integer() != 0 && v.integer() != 1)) throw conversion_error("0 or 1");
    return v.integer() == 1;
  }
};

/// Range-checked: a value that does not fit is an error, never cut. SQLite's integers have 64 bits and a sign.
template <class T>
requires(std::integral<T> && !std::same_as<T, bool> && !tidepool::detail::character<T>) struct codec<T> {
  static void encode(parameter& out, T given) {
    if (!std::in_range<std::int64_t>(given)) throw error(errc::bad_parameter, "above 2^63 - 1, SQLite's largest integer");
    out.integer(static_cast<std::int64_t>(given));
  }
  static T decode(const value& v) {
    if (v.kind() != storage::integer) throw conversion_error("an integer");
    if (!std::in_range<T>(v.integer())) {
      throw conversion_error("within the range of " + std::string(std::unsigned_integral<T> ? "an unsigned " : "a ") +
                             std::to_string(8 * sizeof(T)) + "-bit integer");
    }
    return static_cast<T>(v.integer());
  }
};

/// An integer is read too where it is exact. A `float` takes the nearest value.
template <std::floating_point T>
struct codec<T> {
  static void encode(parameter& out, T given) { out.real(static_cast<double>(given)); }
  static T decode(const value& v) {
    if (v.kind() == storage::integer) {
      const double exact = static_cast<double>(v.integer());
      constexpr std::int64_t most = std::int64_t{1} << 53U;
      if (v.integer() > most || v.integer() < -most) throw conversion_error("exact as a floating-point number");
      return static_cast<T>(exact);
    }
    if (v.kind() != storage::real) throw conversion_error("a number");
    if constexpr (sizeof(T) < sizeof(double)) {
      constexpr double most = static_cast<double>(std::numeric_limits<T>::max());
      const bool finite = v.real() - v.real() == 0;
      if (finite && (v.real() > most || v.real() < -most)) throw conversion_error("within the range of the floating-point type");
    }
    return static_cast<T>(v.real());
  }
};

// --- bytes ---------------------------------------------------------------------------------------------------------

namespace detail {

template <class Range>
struct blob_codec {
  static void encode(parameter& out, const Range& given) { out.blob(std::as_bytes(std::span(given))); }
};
template <class = void>
inline std::span<const std::byte> blob_of(const value& v) {
  if (v.kind() != storage::blob) throw conversion_error("a blob");
  return v.blob();
}

}  // namespace detail

/// A blob, as `std::byte` or `unsigned char`.
template <tidepool::detail::byte B>
struct codec<std::vector<B>> : detail::blob_codec<std::vector<B>> {
  static std::vector<B> decode(const value& v) {
    const auto bytes = detail::blob_of(v);
    const B* const from = reinterpret_cast<const B*>(bytes.data());
    return std::vector<B>(from, from + bytes.size());
  }
};
/// A blob of exactly that size.
template <tidepool::detail::byte B, std::size_t Size>
struct codec<std::array<B, Size>> : detail::blob_codec<std::array<B, Size>> {
  static std::array<B, Size> decode(const value& v) {
    const auto bytes = detail::blob_of(v);
    if (bytes.size() != Size) throw conversion_error("a blob of " + std::to_string(Size) + " bytes");
    std::array<B, Size> out{};
    for (std::size_t i = 0; i < Size; ++i) out[i] = static_cast<B>(bytes[i]);
    return out;
  }
};
/// For parameters only.
template <class B, std::size_t Extent>
requires tidepool::detail::byte<std::remove_const_t<B>>
struct codec<std::span<B, Extent>> : detail::blob_codec<std::span<B, Extent>> {
};

/// Base of a codec for an enumeration that is kept as its number: `template <> struct tidepool::sqlite::codec<color> : enum_codec<color>
/// {};`. The number is not checked against the enumerators.
template <class E>
requires std::is_enum_v<E>
struct enum_codec {
  /// What is stored.
  using number = std::underlying_type_t<E>;
  static void encode(parameter& out, E given) { codec<number>::encode(out, static_cast<number>(given)); }
  static E decode(const value& v) { return static_cast<E>(codec<number>::decode(v)); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/codec.ipp"
#endif

#include "codec_time.hpp"

#endif
