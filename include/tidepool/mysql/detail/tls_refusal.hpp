// SPDX-License-Identifier: BSL-1.0
// tidepool - what a failed TLS handshake means.
#ifndef TIDEPOOL_MYSQL_DETAIL_TLS_REFUSAL_HPP
#define TIDEPOOL_MYSQL_DETAIL_TLS_REFUSAL_HPP

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <initializer_list>
#include <string_view>

#include "../../version.hpp"
#include "../options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// The errno that the library puts at the end of its text: "Can't connect to server on 'db1' (111)".
template <class = void>
inline int system_error_in(std::string_view text) noexcept {
  if (!text.ends_with(')')) return 0;
  const auto open = text.rfind('(');
  int number = 0;
  if (open != std::string_view::npos) std::from_chars(text.data() + open + 1, text.data() + text.size(), number);
  return number;
}

template <class = void>
inline bool has_one_of(std::string_view text, std::initializer_list<std::string_view> signs) noexcept {
  return std::any_of(signs.begin(), signs.end(), [text](std::string_view sign) { return text.find(sign) != std::string_view::npos; });
}

/// The client library says of every handshake that failed what it thinks of the certificate, also where nobody asked for a check: then its
/// words are no reason.
template <class = void>
inline bool hides_the_reason(const options& settings, mysql::ssl_mode mode, std::string_view words) noexcept {
  const bool verified = mode >= mysql::ssl_mode::verify_ca || !settings.ssl_ca.empty() || !settings.ssl_capath.empty();
  return !verified && has_one_of(words, {": self-signed certificate", ": unable to ", ": certificate "});
}

/// Whether a failed handshake would fail the next time too: by a certificate, a name, nothing in common, or files and settings of this
/// side. Else it ended early, by the server or somebody on the way, or its bytes were damaged. OpenSSL's words are never translated.
template <class = void>
inline bool refuses_tls(const options& settings, mysql::ssl_mode mode, std::string_view words) noexcept {
  if (hides_the_reason(settings, mode, words)) return false;
  const int system = system_error_in(words);
  if (system == ENOENT || system == EACCES || system == EISDIR) return true;
  if (has_one_of(words, {"alert", "unrecognized name"})) {
    return has_one_of(words, {"alert unknown ca", "certificate", "alert access denied", "alert handshake failure", "alert protocol version",
                              "alert insufficient security", "unrecognized name"});
  }
  return has_one_of(words, {"certificate", "Hostname mismatch", "hostname mismatch", "IP address mismatch", "key too small", "md too weak",
                            "CRL", "key values mismatch", "no start line", "no cipher", "unsupported protocol", "no protocols available",
                            "no shared cipher"}) ||
         words.ends_with(": unsupported");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
