// SPDX-License-Identifier: BSL-1.0
// tidepool - connection options are read: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_OPTIONS_IPP
#define TIDEPOOL_MYSQL_IMPL_OPTIONS_IPP

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"
#include "../options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

namespace detail {

[[noreturn, gnu::cold]] inline void refuse_option(const std::string& text) { throw error(errc::bad_options, text); }

/// %41 is A. `what` names the part, because the text itself may be a password.
template <class = void>
inline std::string decoded(std::string_view part, std::string_view what) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '%') {
      out += part[i];
      continue;
    }
    const int high = i + 2 < part.size() ? digit(part[i + 1]) : -1;
    const int low = i + 2 < part.size() ? digit(part[i + 2]) : -1;
    if (high < 0 || low < 0) {
      tidepool::detail::wipe(out);
      refuse_option("URL: \"%\" in the " + std::string(what) + " must be followed by two hexadecimal digits; write %25 for \"%\" itself");
    }
    if (high == 0 && low == 0) refuse_option("URL: %00 in the " + std::string(what) + " is not allowed");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}
template <class = void>
inline unsigned port_of(std::string_view text) {
  unsigned port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
    refuse_option("a port is not a number from 1 to 65535; in a URL, write \":\" \"/\" \"@\" within a password as %3A %2F %40");
  }
  return port;
}
template <class = void>
inline bool flag_of(std::string_view keyword, std::string_view value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  refuse_option("the option \"" + std::string(keyword) + "\" is neither true nor false");
}

}  // namespace detail

TIDEPOOL_LAZY_BODY options::options(std::string_view url) { read(url); }
TIDEPOOL_LAZY_BODY options::options(const char* url) {
  if (url != nullptr) read(url);
}
TIDEPOOL_LAZY_BODY options::options(const std::string& url) { read(url); }

TIDEPOOL_LAZY_BODY void options::read(std::string_view url) {
  if (url.empty()) return;
  std::string_view rest;
  for (const std::string_view scheme : {"mysql://", "mariadb://"}) {
    if (url.starts_with(scheme)) rest = url.substr(scheme.size());
  }
  if (rest.data() == nullptr) detail::refuse_option("a URL begins with mysql:// or mariadb://, as in mysql://app@db/shop");
  const auto query = std::min(rest.find('?'), rest.size());
  auto parameters = rest.substr(std::min(query + 1, rest.size()));
  rest = rest.substr(0, query);
  const auto slash = std::min(rest.find('/'), rest.size());
  if (slash < rest.size()) database = detail::decoded(rest.substr(slash + 1), "database");
  auto server = rest.substr(0, slash);
  const auto at = server.rfind('@');
  if (at != std::string_view::npos) {
    const auto login = server.substr(0, at);
    const auto colon = std::min(login.find(':'), login.size());
    user = detail::decoded(login.substr(0, colon), "user");
    if (colon < login.size()) password = detail::decoded(login.substr(colon + 1), "password");
    server = server.substr(at + 1);
  }
  if (!server.empty()) host = detail::decoded(server, "host");
  while (!parameters.empty()) {
    const auto end = std::min(parameters.find('&'), parameters.size());
    const auto item = parameters.substr(0, end);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) detail::refuse_option("URL: \"=\" is missing after a parameter");
    set(item.substr(0, equals), detail::decoded(item.substr(equals + 1), "parameters"));
  }
  (void)endpoints();
}

TIDEPOOL_LAZY_BODY void options::set(std::string_view keyword, std::string&& value) {
  std::string name(keyword);
  std::replace(name.begin(), name.end(), '_', '-');
  if (name == "ssl-mode" || name == "sslmode") {
    std::string mode = value;
    for (char& c : mode) c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    constexpr std::pair<std::string_view, mysql::ssl_mode> modes[] = {{"disabled", mysql::ssl_mode::disabled},
                                                                      {"required", mysql::ssl_mode::required},
                                                                      {"verify-ca", mysql::ssl_mode::verify_ca},
                                                                      {"verify-identity", mysql::ssl_mode::verify_full},
                                                                      {"verify-full", mysql::ssl_mode::verify_full}};
    for (const auto& [word, means] : modes) {
      if (mode == word) {
        ssl_mode = means;
        return;
      }
    }
    detail::refuse_option("ssl-mode is none of disabled, required, verify-ca, verify-full");
  }
  if (name == "ssl-ca")
    ssl_ca = std::move(value);
  else if (name == "ssl-capath")
    ssl_capath = std::move(value);
  else if (name == "ssl-cert")
    ssl_cert = std::move(value);
  else if (name == "ssl-key")
    ssl_key = std::move(value);
  else if (name == "ssl-cipher")
    ssl_cipher = std::move(value);
  else if (name == "tls-version")
    tls_version = std::move(value);
  else if (name == "socket")
    socket = std::move(value);
  else if (name == "found-rows")
    found_rows = detail::flag_of(name, value);
  else if (name == "writable")
    writable = detail::flag_of(name, value);
  else if (name == "load-balance")
    load_balance = detail::flag_of(name, value);
  else if (name == "connect-timeout") {
    unsigned seconds = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (failure != std::errc() || end != value.data() + value.size() || seconds > 1'000'000) {
      detail::refuse_option("connect-timeout is not a number of seconds, which has no unit");
    }
    address_timeout = seconds == 0 ? duration(no_limit) : std::chrono::seconds(seconds);
  } else {
    detail::refuse_option("unknown parameter \"" + tidepool::detail::printable(name, 40) + "\" in the URL");
  }
}

TIDEPOOL_LAZY_BODY std::vector<detail::endpoint> options::endpoints() const {
  std::vector<detail::endpoint> out;
  if (!socket.empty()) {
    out.push_back({socket, 0});
    return out;
  }
  for (std::string_view rest = host;;) {
    const auto end = std::min(rest.find(','), rest.size());
    auto item = rest.substr(0, end);
    detail::endpoint made{std::string(item), port};
    if (item.starts_with('[')) {
      const auto close = item.find(']');
      if (close == std::string_view::npos) detail::refuse_option("host: \"]\" is missing after an address");
      made.host = item.substr(1, close - 1);
      item.remove_prefix(close + 1);
      if (!item.empty() && item[0] != ':') detail::refuse_option("host: after \"]\" a \":\" or \",\" is expected");
      if (!item.empty()) made.port = detail::port_of(item.substr(1));
    } else if (const auto colon = item.find(':');
               !made.local() && colon != std::string_view::npos && item.find(':', colon + 1) == std::string_view::npos) {
      made.host = item.substr(0, colon);
      made.port = detail::port_of(item.substr(colon + 1));
    }
    if (made.host.empty()) detail::refuse_option("host: a server without a name");
    if (made.host.find('\0') != std::string::npos) detail::refuse_option("host: holds a NUL byte");
    if (made.port < 1 || made.port > 65535) detail::refuse_option("port is not a number from 1 to 65535");
    out.push_back(std::move(made));
    if (end == rest.size()) return out;
    rest.remove_prefix(end + 1);
  }
}

TIDEPOOL_LAZY_BODY std::string options::summary() const {
  std::string out;
  const auto add = [&out](const char* name, const std::string& text) {
    if (text.empty()) return;
    if (!out.empty()) out += ' ';
    out.append(name).append("=").append(tidepool::detail::printable(text, 100));
  };
  if (socket.empty()) {
    add("host", host);
    add("port", std::to_string(port));
  } else {
    add("socket", socket);
  }
  add("database", database);
  add("user", user);
  return out;
}

TIDEPOOL_LAZY_BODY void options::check() const {
  (void)endpoints();
  const auto positive = [](duration given, const char* name) {
    if (given <= duration::zero()) detail::refuse_option(std::string(name) + " has to be above zero");
  };
  positive(address_timeout, "address_timeout");
  positive(response_timeout, "response_timeout");
  positive(cancel_timeout, "cancel_timeout");
  positive(close_timeout, "close_timeout");
  if (bad_host_memory < duration::zero()) detail::refuse_option("bad_host_memory is below zero");
  if (stack_bytes < (std::size_t{64} << 10U)) detail::refuse_option("stack_bytes is below 64 kB, which a login with TLS may need");
  if (ssl_mode == mysql::ssl_mode::verify_ca && ssl_ca.empty() && ssl_capath.empty()) {
    detail::refuse_option("ssl_mode verify_ca needs ssl_ca or ssl_capath");
  }
  if (ssl_cert.empty() != ssl_key.empty()) detail::refuse_option("ssl_cert and ssl_key belong together: give both, or none");
  for (const auto* text : {&user, &password, &database, &socket, &ssl_ca, &ssl_capath, &ssl_cert, &ssl_key, &ssl_cipher, &tls_version}) {
    if (text->find('\0') != std::string::npos) detail::refuse_option("an option holds a NUL byte");
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
