// SPDX-License-Identifier: BSL-1.0
// tidepool - text as char8_t, and integers of 128 bits.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_WIDE_HPP
#define TIDEPOOL_POSTGRES_CODEC_WIDE_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include "../detail/util/linkage.hpp"
#include "../version.hpp"
#include "detail/utf8.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Text in UTF-8. What is not UTF-8 is `bad_parameter`, and when it is read a conversion error: `client_encoding` has to be UTF8, which is
/// the driver's default. A view is a parameter only.
template <>
struct codec<std::u8string_view> {
  TIDEPOOL_DECL static void encode(std::string& out, std::u8string_view value);
};
template <>
struct codec<std::u8string> {
  TIDEPOOL_DECL static void encode(std::string& out, const std::u8string& value);
  TIDEPOOL_DECL static std::u8string decode(std::string_view text);
};

#if defined(__SIZEOF_INT128__)
namespace detail {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

TIDEPOOL_DECL void append_wide(std::string& out, uint128 value);
/// At most `most`.
TIDEPOOL_DECL uint128 read_wide(std::string_view digits, uint128 most);

}  // namespace detail

/// For numeric, and all integers.
template <>
struct codec<detail::uint128> {
  TIDEPOOL_DECL static void encode(std::string& out, detail::uint128 value);
  TIDEPOOL_DECL static detail::uint128 decode(std::string_view text, Oid type = 0);
};
template <>
struct codec<detail::int128> {
  TIDEPOOL_DECL static void encode(std::string& out, detail::int128 value);
  TIDEPOOL_DECL static detail::int128 decode(std::string_view text, Oid type = 0);
};
#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
