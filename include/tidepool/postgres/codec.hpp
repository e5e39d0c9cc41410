// SPDX-License-Identifier: BSL-1.0
// tidepool - codec<T>: converts a C++ type to and from PostgreSQL's values. Specialise it for your own types.
#ifndef TIDEPOOL_POSTGRES_CODEC_HPP
#define TIDEPOOL_POSTGRES_CODEC_HPP

#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "../detail/driver/value_type.hpp"
#include "../detail/util/linkage.hpp"
#include "../version.hpp"
#include "detail/read_floating.hpp"
#include "detail/types.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Specialise it for a type of your own:
///
///     template <> struct tidepool::postgres::codec<point> {
///       static void encode(std::string& out, const point& p);   // appends PostgreSQL's text form
///       static point decode(std::string_view text);             // throws conversion_error(...) when it is none
///     };
/// Values are sent as text: the server infers the parameter's type, so an `int` can be used for int8, numeric and float8 columns.
/// `static constexpr Oid oid` names the type for parameters instead (`array_oid` does for arrays of it),
/// `static constexpr bool binary = true` sends what `encode` appended as the binary form; `encode_text`, of the same form as
/// `encode`, is then what arrays and COPY use. Results always come as text; a `decode(std::string_view text, Oid type)` is given
/// the column's type as well, 0 where that is not known, as in COPY. `static constexpr char delimiter` is what separates the
/// elements of the type's arrays where that is no comma: `typdelim` in `pg_type`, ';' for `box`.
/// A codec need not handle NULL: `std::optional<T>` is NULL or T. A type with a NULL of its own has `static bool is_null(const T&)` and
/// `static T null()`. `static Oid oid_of(const T&)` names the type by the value; `static bool reads(Oid type)` says which columns an
/// alternative of a `std::variant` is for. What cannot be sent throws `error(errc::bad_parameter, ...)`, to which the parameter's number
/// is added.
template <class T>
struct codec;

/// What `decode` throws; the row adds the column's name and type.
template <class = void>
[[gnu::cold]] inline error conversion_error(std::string_view expected) {
  return {errc::conversion, "not " + std::string(expected)};
}

namespace detail {

/// The byte that three octal digits stand for.
TIDEPOOL_DECL unsigned char octal_byte(std::string_view digits);

using tidepool::detail::ambiguous_byte;
using tidepool::detail::byte;
using tidepool::detail::character;
using tidepool::detail::is_optional;
using tidepool::detail::points_to;
using tidepool::detail::strip_optional;
using tidepool::detail::unwrapped;

/// The codec of a parameter: string literals and all string types are sent as text; a null pointer to char is NULL.
template <class T>
using codec_type =
    std::conditional_t<std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::nullopt_t> || points_to<T, char>, std::string_view,
                       std::conditional_t<points_to<T, char8_t>, std::u8string_view, typename unwrapped<std::remove_cvref_t<T>>::type>>;
template <class T>
using codec_for = codec<codec_type<T>>;

/// A codec may have values that are NULL: `static bool is_null(const T&)`, and one to read NULL as: `static T null()`.
template <class T>
concept knows_null = requires(const T& value) {
  { codec<T>::is_null(value) } -> std::same_as<bool>;
};
template <class T>
concept reads_null = requires {
  { codec<T>::null() } -> std::same_as<T>;
};
template <class T>
inline constexpr bool may_be_null = is_optional<T>::value || reads_null<T>;
template <class T>
T null_value() {
  if constexpr (is_optional<T>::value) {
    return std::nullopt;
  } else {
    return codec<T>::null();
  }
}

template <class T>
bool is_null(const T& value) {
  if constexpr (is_optional<T>::value) {
    if constexpr (knows_null<typename T::value_type>) return !value.has_value() || codec<typename T::value_type>::is_null(*value);
    return !value.has_value();
  } else if constexpr (knows_null<T>) {
    return codec<T>::is_null(value);
  } else if constexpr (std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::nullopt_t>) {
    return true;
  } else if constexpr (std::is_pointer_v<T> && (points_to<T, char> || points_to<T, char8_t>)) {
    return value == nullptr;
  } else {
    return false;
  }
}

template <class C>
constexpr Oid codec_oid() {
  if constexpr (requires { C::oid; }) {
    return C::oid;
  } else {
    return 0;
  }
}
template <class C>
constexpr bool codec_binary() {
  if constexpr (requires { C::binary; }) {
    return C::binary;
  } else {
    return false;
  }
}

template <class C, class V>
concept has_text_form = requires(std::string& out, const V& value) {
  C::encode_text(out, value);
}
|| !codec_binary<C>();
/// Appends the text form, as arrays and COPY need it.
template <class C, class V>
void encode_text(std::string& out, const V& value) {
  if constexpr (requires { C::encode_text(out, value); }) {
    C::encode_text(out, value);
  } else {
    C::encode(out, value);
  }
}
template <class T>
concept has_decoder = requires(std::string_view text) {
  { codec<T>::decode(text) } -> std::convertible_to<T>;
}
|| requires(std::string_view text, Oid type) {
  { codec<T>::decode(text, type) } -> std::convertible_to<T>;
};
template <class T>
concept takes_type = requires(std::string_view text, Oid type) {
  codec<T>::decode(text, type);
};
/// `type`: the OID of the server's type, 0 where it is not known. What has no codec was refused at compile time, in words.
template <class T>
T decode_value(std::string_view text, Oid type) {
  if constexpr (takes_type<T>) {
    return codec<T>::decode(text, type);
  } else if constexpr (has_decoder<T>) {
    return codec<T>::decode(text);
  } else {
    throw conversion_error("a type with a codec");
  }
}

}  // namespace detail

/// Can be read out of a column.
template <class T>
concept decodable = detail::has_decoder<typename detail::unwrapped<T>::type>;
/// Can be a parameter.
template <class T>
concept encodable = requires(std::string& out, const detail::codec_type<T>& value) {
  detail::codec_for<T>::encode(out, value);
};

// --- text ----------------------------------------------------------------------------------------------------------

/// The view is valid as long as the `result` it comes from.
template <>
struct codec<std::string_view> {
  static void encode(std::string& out, std::string_view value) { out += value; }
  static std::string_view decode(std::string_view text) { return text; }
};
template <>
struct codec<std::string> {
  static void encode(std::string& out, const std::string& value) { out += value; }
  static std::string decode(std::string_view text) { return std::string(text); }
};
/// One character, or a `"char"` of the server's catalogues: there an empty text is zero, and since PostgreSQL 16 a byte above 127 is
/// printed as three octal digits. Zero cannot be sent, because text must not hold a NUL byte.
template <>
struct codec<char> {
  static void encode(std::string& out, char value) { out += value; }
  TIDEPOOL_DECL static char decode(std::string_view text, Oid type = 0);
};

// --- numbers -------------------------------------------------------------------------------------------------------

template <>
struct codec<bool> {
  static void encode(std::string& out, bool value) { out += value ? 't' : 'f'; }
  static bool decode(std::string_view text) {
    if (text == "t") return true;
    if (text == "f") return false;
    throw conversion_error("a boolean");
  }
};

/// Range-checked: a value that does not fit is an error, never cut.
template <class T>
requires(std::integral<T> && !std::same_as<T, bool> && !detail::character<T>) struct codec<T> {
  static void encode(std::string& out, T value) {
    std::array<char, std::numeric_limits<T>::digits10 + 3> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    out.append(buffer.data(), end);
  }
  static T decode(std::string_view text, Oid type = 0) {
    if (detail::is_bits(type)) throw conversion_error("an integer: read bits as std::string, or cast them to an integer in the query");
    T value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc::result_out_of_range || (std::unsigned_integral<T> && text.starts_with('-'))) {
      throw conversion_error("within the range of a " + std::to_string(8 * sizeof(T)) + "-bit integer");
    }
    if (failure != std::errc() || end != text.data() + text.size()) throw conversion_error("an integer");
    return value;
  }
};

/// Exact in both directions, with infinities and NaN: the shortest text that reads back as the same value. This needs the server's
/// `extra_float_digits` at 1 or above: below that the server rounds. A numeric becomes the nearest value.
template <std::floating_point T>
struct codec<T> {
  static void encode(std::string& out, T value) {
    std::array<char, 64> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    // The server has one NaN, without a sign; that of 0.0 / 0.0 on x86 has its sign bit set. Recognised by its text, because `isnan` is
    // false under -ffast-math.
    if (end[-1] == 'n' || end[-1] == ')') {
      out += "NaN";
    } else {
      out.append(buffer.data(), end);
    }
  }
  static T decode(std::string_view text, Oid type = 0) {
    if (detail::is_bits(type)) throw conversion_error("a number: read bits as std::string, or cast them to an integer in the query");
    T value{};
    const std::errc failure = detail::read_floating(text, value);
    if (failure == std::errc::result_out_of_range) throw conversion_error("within the range of the floating-point type");
    if (failure != std::errc()) throw conversion_error("a number");
    return value;
  }
};

// --- json ----------------------------------------------------------------------------------------------------------

/// JSON as text, for json and jsonb alike; parse it with the library of your choice.
struct json {
  json() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  explicit json(std::string document) noexcept : text(std::move(document)) {}
  std::string text;
  friend bool operator==(const json&, const json&) = default;
};
template <>
struct codec<json> {
  static void encode(std::string& out, const json& value) { out += value.text; }
  static json decode(std::string_view text) { return json{std::string(text)}; }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#include "codec_array.hpp"
#include "codec_binary.hpp"
#include "codec_enum.hpp"
#include "codec_interval.hpp"
#include "codec_time.hpp"
#include "codec_wide.hpp"
#include "detail/require_codec.hpp"

#if TIDEPOOL_HEADER_ONLY
#include "impl/codec.ipp"
#include "impl/codec_time.ipp"
#endif

#endif
