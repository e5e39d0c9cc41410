// SPDX-License-Identifier: BSL-1.0
// tidepool - std::filesystem::path as text.
#ifndef TIDEPOOL_POSTGRES_TYPES_FILESYSTEM_HPP
#define TIDEPOOL_POSTGRES_TYPES_FILESYSTEM_HPP

#include <filesystem>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "../codec.hpp"
#include "../detail/utf8.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Text: the path as it is. Names of files are bytes and text is not: a path that is not UTF-8 is `bad_parameter`, and can be sent as
/// bytea. Needs `client_encoding` UTF8, which is the driver's default.
template <>
struct codec<std::filesystem::path> {
  static void encode(std::string& out, const std::filesystem::path& value) {
    if (!detail::is_utf8(value.native()))
      throw error(errc::bad_parameter, "a path that is not UTF-8 cannot be text: send its bytes as bytea");
    out += value.native();
  }
  static std::filesystem::path decode(std::string_view text) {
    if (!detail::is_utf8(text)) throw conversion_error("a path in UTF-8: client_encoding has to be UTF8");
    return {std::string(text)};
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
