// SPDX-License-Identifier: BSL-1.0
// tidepool - connection options are read: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_OPTIONS_IPP
#define TIDEPOOL_POSTGRES_IMPL_OPTIONS_IPP

#include <charconv>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "../../version.hpp"
#include "../detail/conninfo.hpp"
#include "../options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY options::options() : options(std::string_view()) {}
TIDEPOOL_LAZY_BODY options::options(const char* conninfo)
    : options(conninfo == nullptr ? std::string_view() : std::string_view(conninfo)) {}
TIDEPOOL_LAZY_BODY options::options(const std::string& conninfo) : options(std::string_view(conninfo)) {}
TIDEPOOL_LAZY_BODY options::options(std::string_view conninfo) : values_(detail::parse_conninfo(conninfo)) {
  detail::add_defaults(values_);
  try {
    (void)endpoints();
  } catch (const error& wrong) {
    const bool uri = conninfo.starts_with("postgresql://") || conninfo.starts_with("postgres://");
    if (!uri || wrong.explanation().find("URI") != std::string_view::npos) throw;
    throw error(errc::bad_options,
                std::string(wrong.explanation()) + "; in a URI, write \":\" \"/\" \"@\" within a password as %3A %2F %40");
  }
  (void)target();
  address_timeout = address_timeout_of(get("connect_timeout"));
}

TIDEPOOL_LAZY_BODY duration options::address_timeout_of(std::string_view seconds) {
  if (seconds.empty()) return std::chrono::seconds(5);
  int count = 0;
  const auto [end, failure] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), count);
  if (failure != std::errc() || end != seconds.data() + seconds.size()) {
    throw error(errc::bad_options, "connect_timeout is not a number of seconds, which has no unit");
  }
  return count <= 0 ? duration(no_limit) : std::chrono::seconds(count);
}

TIDEPOOL_LAZY_BODY options& options::set(std::string_view keyword, std::string_view value) {
  if (!detail::is_keyword(keyword)) {
    const auto meant = detail::meant_keyword(keyword);
    throw error(errc::bad_options, "unknown connection option \"" + detail::printable(keyword, 40) + "\"" +
                                       (meant.empty() ? std::string() : ": did you mean \"" + std::string(meant) + "\"?"));
  }
  if (value.find('\0') != std::string_view::npos) {
    throw error(errc::bad_options, "connection option \"" + std::string(keyword) + "\" holds a NUL byte");
  }
  detail::check_value(keyword, value);
  if (keyword == "connect_timeout") address_timeout = address_timeout_of(value);
  if (value.empty()) {
    values_.erase(std::string(keyword));
  } else {
    values_.insert_or_assign(std::string(keyword), std::string(value));
  }
  return *this;
}

TIDEPOOL_LAZY_BODY options& options::set(std::string_view keyword, const char* value) {
  return set(keyword, value == nullptr ? std::string_view() : std::string_view(value));
}

TIDEPOOL_LAZY_BODY std::string_view options::get(std::string_view keyword) const {
  const auto at = values_.find(keyword);
  if (at == values_.end()) return {};
  return detail::is_secret(keyword) ? std::string_view("***") : std::string_view(at->second);
}

TIDEPOOL_LAZY_BODY std::string options::summary() const {
  std::string out;
  for (const char* keyword : {"host", "hostaddr", "port", "dbname", "user"}) {
    const auto at = values_.find(keyword);
    if (at == values_.end()) continue;
    if (!out.empty()) out += ' ';
    out += keyword;
    out += '=';
    out += detail::printable(at->second, 100);
  }
  return out;
}

TIDEPOOL_LAZY_BODY std::vector<detail::endpoint> options::endpoints() const { return detail::endpoints_of(values_); }

TIDEPOOL_LAZY_BODY session_attrs options::target() const {
  const auto said = get("target_session_attrs");
  constexpr std::string_view words[] = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"};
  if (said.empty()) return session_attrs::any;
  for (std::size_t i = 0; i < std::size(words); ++i) {
    if (said == words[i]) return static_cast<session_attrs>(i);
  }
  throw error(errc::bad_options, "target_session_attrs is none of any, read-write, read-only, primary, standby, prefer-standby");
}

TIDEPOOL_LAZY_BODY void options::check() const {
  (void)endpoints();
  const auto positive = [](duration given, const char* name) {
    if (given <= duration::zero()) throw error(errc::bad_options, std::string(name) + " has to be above zero");
  };
  positive(address_timeout, "address_timeout");
  positive(response_timeout, "response_timeout");
  positive(cancel_timeout, "cancel_timeout");
  positive(close_timeout, "close_timeout");
  positive(peer_timeout, "peer_timeout");
  positive(idle_in_transaction_timeout, "idle_in_transaction_timeout");
  if (bad_host_memory < duration::zero()) throw error(errc::bad_options, "bad_host_memory is below zero");
}

TIDEPOOL_LAZY_BODY bool options::load_balance() const { return get("load_balance_hosts") == "random"; }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
