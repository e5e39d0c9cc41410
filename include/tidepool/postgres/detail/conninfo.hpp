// tidepool - connection strings, environment and service file as libpq reads them, without its habit of echoing input.
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
#include <vector>

#include "../error.hpp"
#include "text.hpp"

namespace tidepool::postgres::detail {

class dial_plan;

using option_map = std::map<std::string, std::string, std::less<>>;

struct conninfo_deleter {
  void operator()(PQconninfoOption* list) const noexcept { PQconninfoFree(list); }
};
using conninfo_list = std::unique_ptr<PQconninfoOption, conninfo_deleter>;

/// One server as the options name it; libpq's default socket when all is empty.
struct endpoint {
  std::string host, hostaddr, port;
  /// A path, or '@' for the abstract namespace: no name to look up.
  bool local() const { return hostaddr.empty() && (host.empty() || host[0] == '/' || host[0] == '@'); }
  std::string text() const {
    const auto& shown = host.empty() ? hostaddr : host;
    std::string out = printable(shown.empty() ? "local socket" : shown, 80);
    if (!port.empty()) out.append(":").append(printable(port, 8));
    return out;
  }
};

/// What libpq of this machine knows, and two that only newer ones know but that work here with all.
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
inline bool is_keyword(std::string_view name) { return keywords().contains(name); }
inline bool is_secret(std::string_view name) {
  constexpr std::string_view secrets[] = {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"};
  return std::find(std::begin(secrets), std::end(secrets), name) != std::end(secrets);
}

/// Takes `load_balance_hosts` out of a string for a libpq that does not know it. True when it was there.
inline bool take_load_balance(std::string& text, std::string& value) {
  constexpr std::string_view name = "load_balance_hosts=";
  const auto at = text.find(name);
  if (at == std::string::npos || (at > 0 && std::string_view(" ?&").find(text[at - 1]) == std::string_view::npos)) return false;
  const auto end = std::min(text.find_first_of(" &", at), text.size());
  value = text.substr(at + name.size(), end - at - name.size());
  // In a URI one of the separators beside it has to go too.
  const bool first_of_several = at > 0 && text[at - 1] == '?' && end < text.size();
  if (first_of_several) {
    text.erase(at, end - at + 1);
  } else {
    const std::size_t from = at > 0 ? at - 1 : 0;
    text.erase(from, end - from);
  }
  return true;
}

inline option_map parse_conninfo(std::string_view given) {
  if (given.find('\0') != std::string_view::npos) throw error(errc::bad_options, "the connection string holds a NUL byte");
  std::string text(given);
  option_map values;
  std::string balance;
  if (take_load_balance(text, balance)) values.emplace("load_balance_hosts", balance);
  char* raw = nullptr;
  const conninfo_list list(PQconninfoParse(text.c_str(), &raw));
  if (!list) {
    const std::string complaint = raw == nullptr ? "" : raw;
    PQfreemem(raw);
    std::string said = "the connection string cannot be parsed";
    // libpq quotes its input. A name may be repeated only where no part of a secret can be mistaken for one.
    const auto open = complaint.find('"');
    const auto close = open == std::string::npos ? open : complaint.find('"', open + 1);
    if (close != std::string::npos && text.find("pass") == std::string::npos && text.find("://") == std::string::npos) {
      said += ": see \"" + printable(complaint.substr(open + 1, close - open - 1), 40) + "\"";
    }
    wipe(text);
    throw error(errc::bad_options, said);
  }
  for (const auto* o = list.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) values.insert_or_assign(o->keyword, o->val);
  }
  wipe(text);
  return values;
}

/// What a service file says. libpq has no call for reading one, but a connection object that cannot start has read it: one
/// made impossible by an option that is checked before anything is dialled. Two of them, to see both spoiled options.
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
    // A service that is not there stops libpq before it has taken over any option.
    if (!read) throw error(errc::bad_options, "the service \"" + printable(service, 40) + "\" cannot be read");
  };
  probe("ssl_min_protocol_version", [](std::string_view name) { return name != "ssl_min_protocol_version"; });
  probe("channel_binding", [](std::string_view name) { return name == "ssl_min_protocol_version"; });
}

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
    if (said != nullptr && *said != '\0') values.emplace(keyword, said);
  }
  values.emplace("client_encoding", "UTF8");
  values.emplace("gssencmode", "disable");
  values.emplace("fallback_application_name", "tidepool");
  values.emplace("keepalives_idle", "15");
  values.emplace("keepalives_interval", "5");
  values.emplace("keepalives_count", "3");
  values.emplace("tcp_user_timeout", "15000");
}

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

inline std::vector<endpoint> endpoints_of(const option_map& values) {
  const auto hosts = split_list(values, "host");
  const auto addresses = split_list(values, "hostaddr");
  const auto ports = split_list(values, "port");
  const auto count = std::max({hosts.size(), addresses.size(), std::size_t{1}});
  if (!hosts.empty() && !addresses.empty() && hosts.size() != addresses.size()) {
    throw error(errc::bad_options, "host and hostaddr name different numbers of servers");
  }
  if (ports.size() > 1 && ports.size() != count) throw error(errc::bad_options, "port names another number of servers than host");
  std::vector<endpoint> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!hosts.empty()) out[i].host = hosts[i];
    if (!addresses.empty()) out[i].hostaddr = addresses[i];
    if (!ports.empty()) out[i].port = ports.size() == 1 ? ports[0] : ports[i];
    const auto& port = out[i].port;
    const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || port.size() > 5 || (!port.empty() && (std::stoi(port) < 1 || std::stoi(port) > 65535))) {
      throw error(errc::bad_options, "port is not a number from 1 to 65535");
    }
  }
  return out;
}

}  // namespace tidepool::postgres::detail

#endif
