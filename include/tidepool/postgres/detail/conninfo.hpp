// SPDX-License-Identifier: BSL-1.0
// tidepool - connection options from a string, the environment and the service file, read as libpq does but without quoting secrets.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CONNINFO_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CONNINFO_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../error.hpp"
#include "conninfo_parser.hpp"
#include "endpoint.hpp"
#include "text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using option_map = std::map<std::string, std::string, std::less<>>;

struct conninfo_deleter {
  void operator()(PQconninfoOption* list) const noexcept { PQconninfoFree(list); }
};
using conninfo_list = std::unique_ptr<PQconninfoOption, conninfo_deleter>;

/// The options that this libpq knows, and two of newer ones that work here with every libpq.
template <class = void>
inline const std::map<std::string, std::string, std::less<>>& keywords() {
  static const auto known = [] {
    std::map<std::string, std::string, std::less<>> map;
    const conninfo_list list(PQconndefaults());
    if (!list) throw std::bad_alloc();
    for (const auto* o = list.get(); o->keyword != nullptr; ++o) map.emplace(o->keyword, o->envvar == nullptr ? "" : o->envvar);
    map.emplace("load_balance_hosts", "PGLOADBALANCEHOSTS");
    return map;
  }();
  return known;
}
template <class = void>
inline bool is_keyword(std::string_view name) {
  return keywords().contains(name);
}

/// Refuses bad values that an older libpq would accept: the choice between servers is made here.
template <class = void>
inline void check_value(std::string_view keyword, std::string_view value) {
  const auto one_of = [&](auto... words) {
    if (((value == words) || ...)) return;
    std::string all;
    ((all += all.empty() ? std::string(words) : ", " + std::string(words)), ...);
    throw error(errc::bad_options, std::string(keyword) + " is none of " + all);
  };
  if (value.empty()) return;
  if (keyword == "sslmode") one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full");
  if (keyword == "load_balance_hosts") one_of("disable", "random");
  if (keyword == "target_session_attrs") one_of("any", "read-write", "read-only", "primary", "standby", "prefer-standby");
}

/// How many letters differ, are missing, too many, or changed places; for short words.
template <class = void>
inline std::size_t spelling_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}
/// The option that was meant, where its name is nearly the same; else empty.
template <class = void>
inline std::string_view meant_keyword(std::string_view written) {
  constexpr std::pair<std::string_view, std::string_view> others[] = {{"database", "dbname"}, {"db", "dbname"},   {"username", "user"},
                                                                      {"pass", "password"},   {"server", "host"}, {"ssl", "sslmode"}};
  for (const auto& [other, ours] : others) {
    if (written == other) return ours;
  }
  std::string_view best;
  std::size_t least = std::min<std::size_t>(3, written.size() / 2 + 1);
  if (written.size() > 40) return best;
  for (const auto& [keyword, variable] : keywords()) {
    const auto distance = spelling_distance(written, keyword);
    if (distance < least) {
      least = distance;
      best = keyword;
    }
  }
  return best;
}
template <class = void>
[[noreturn]] inline void refuse_keyword(const conninfo_item& item) {
  std::string text = "connection string: unknown option " + conninfo_parser::name_of(item) + " (libpq " +
                     std::to_string(PQlibVersion() / 10000) + " knows no such one)";
  const auto meant = item.may_quote ? meant_keyword(item.key) : std::string_view();
  if (!meant.empty()) text += ": did you mean \"" + std::string(meant) + "\"?";
  throw error(errc::bad_options, text);
}
/// `host= dbname=shop` gives the host "dbname=shop", by libpq's rules. That is what an empty variable makes of a string, and never meant.
template <class = void>
inline void refuse_swallowed(const conninfo_item& item) {
  const auto equals = item.value.find('=');
  if (!item.after_blank || equals == std::string::npos) return;
  const std::string next = item.value.substr(0, equals);
  if (!is_keyword(next)) return;
  throw error(errc::bad_options, "connection string: " + conninfo_parser::name_of(item) + " has no value, and would take \"" + next +
                                     "=...\" for it: leave it out, or write '' for an empty value");
}

template <class = void>
inline option_map parse_conninfo(std::string_view given) {
  if (given.find('\0') != std::string_view::npos) throw error(errc::bad_options, "the connection string holds a NUL byte");
  option_map values;
  for (auto& item : conninfo_parser(given).parse()) {
    if (item.key == "requiressl") {
      item.value = item.value.starts_with('1') ? "require" : "prefer";
      item.key = "sslmode";
    }
    if (!is_keyword(item.key)) {
      wipe(item.value);
      refuse_keyword(item);
    }
    refuse_swallowed(item);
    check_value(item.key, item.value);
    values.insert_or_assign(std::move(item.key), std::move(item.value));
  }
  return values;
}

/// Reads a service file. libpq has no call for that, but a connection object that cannot start has read it. So one is made with a bad
/// option, which libpq refuses before it connects; and a second one with another bad option, to read the first option's value too.
template <class = void>
inline void add_service(option_map& values, const std::string& service) {
  const auto probe = [&](const char* spoiled, auto take) {
    const char* names[] = {"service", spoiled, nullptr};
    const char* set[] = {service.c_str(), "impossible", nullptr};
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectStartParams(names, set, 0), &PQfinish);
    if (!connection) throw std::bad_alloc();
    const conninfo_list list(PQconninfo(connection.get()));
    if (!list) throw error(errc::bad_options, "the service cannot be read");
    bool read = false;
    for (const auto* o = list.get(); o->keyword != nullptr; ++o) {
      if (std::string_view(o->keyword) == spoiled) read = o->val != nullptr;
      const bool differs = o->val != nullptr && (o->compiled == nullptr || std::string_view(o->val) != o->compiled);
      if (differs && take(std::string_view(o->keyword))) values.emplace(o->keyword, o->val);
    }
    // Without such a service libpq stops before it has taken any option.
    if (!read) throw error(errc::bad_options, "the service \"" + printable(service, 40) + "\" cannot be read");
  };
  probe("ssl_min_protocol_version", [](std::string_view name) { return name != "ssl_min_protocol_version"; });
  probe("channel_binding", [](std::string_view name) { return name == "ssl_min_protocol_version"; });
}

template <class = void>
inline void add_defaults(option_map& values) {
  const char* service_name = std::getenv("PGSERVICE");
  const auto service = values.find("service");
  if (service != values.end()) {
    add_service(values, service->second);
  } else if (service_name != nullptr && *service_name != '\0') {
    add_service(values, service_name);
  }
  for (const auto& [keyword, variable] : keywords()) {
    if (variable.empty()) continue;
    const char* said = std::getenv(variable.c_str());
    if (said == nullptr || *said == '\0') continue;
    const bool used = values.emplace(keyword, said).second;
    if (used) check_value(keyword, said);
  }
  values.emplace("client_encoding", "UTF8");
  values.emplace("gssencmode", "disable");
  // Linux ends an idle connection when tcp_user_timeout is over and one probe is unanswered: that must be the third, not the first.
  values.emplace("keepalives_idle", "10");
  values.emplace("keepalives_interval", "2");
  values.emplace("keepalives_count", "3");
  values.emplace("tcp_user_timeout", "15000");
}

template <class = void>
inline std::vector<std::string> split_list(const option_map& values, std::string_view keyword) {
  std::vector<std::string> parts;
  const auto at = values.find(keyword);
  if (at == values.end() || at->second.empty()) return parts;
  std::string_view rest = at->second;
  for (;;) {
    const auto comma = rest.find(',');
    parts.emplace_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    rest.remove_prefix(comma + 1);
  }
}

template <class = void>
inline std::vector<endpoint> endpoints_of(const option_map& values) {
  const auto hosts = split_list(values, "host");
  const auto addresses = split_list(values, "hostaddr");
  const auto ports = split_list(values, "port");
  const auto count = std::max({hosts.size(), addresses.size(), std::size_t{1}});
  if (!hosts.empty() && !addresses.empty() && hosts.size() != addresses.size()) {
    throw error(errc::bad_options, "host and hostaddr name different numbers of servers");
  }
  if (ports.size() > 1 && ports.size() != count)
    throw error(errc::bad_options, "port names another number of servers than host: give one port, or one for each host");
  std::vector<endpoint> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!hosts.empty()) out[i].host = hosts[i];
    if (!addresses.empty()) out[i].hostaddr = addresses[i];
    if (!out[i].local() && out[i].host.find('@') != std::string::npos) {
      throw error(errc::bad_options, "host holds \"@\", which no name does: in a URI, a \"@\" within user or password is written %40");
    }
    if (!ports.empty()) out[i].port = ports.size() == 1 ? ports[0] : ports[i];
    const auto& port = out[i].port;
    const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || port.size() > 5 || (!port.empty() && (std::stoi(port) < 1 || std::stoi(port) > 65535))) {
      throw error(errc::bad_options, "port is not a number from 1 to 65535");
    }
  }
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
