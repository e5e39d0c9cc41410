// SPDX-License-Identifier: BSL-1.0
// tidepool - how each host of a cluster is connected to, by its probe and by its pool.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_SETTINGS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_SETTINGS_HPP

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "../../../config.hpp"
#include "../../../detail/util/system_seed.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../cluster_options.hpp"
#include "../../options.hpp"
#include "../connect_address.hpp"
#include "../endpoint.hpp"
#include "rules.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// What the core needs of the options.
inline rules rules_of(const cluster_options& how) {
  rules out;
  out.interval = how.probe_interval;
  out.hurried = how.hurried_interval;
  out.timeout = how.probe_timeout;
  out.grace = how.abort_grace;
  out.removed_grace = how.primary.close_grace;
  out.lagging_after = how.lagging_after;
  return out;
}

/// Tells the instances of a program apart.
template <class = void>
inline std::string new_number() {
  std::string out;
  for (auto left = tidepool::detail::seed_of_system(); out.size() < 8; left /= 16) out += "0123456789abcdef"[left % 16];
  return out;
}
/// That all instances share, with `#`.
template <class = void>
inline std::string shared_name(const cluster_options& how) {
  return std::string(how.primary.name.view().substr(0, 40)) + "#";
}

/// "10.0.0.7:5432".
template <class = void>
inline std::string name_of(const endpoint& host) {
  if (!host.host.empty() && !host.hostaddr.empty()) return target{host, host.hostaddr}.text();
  return host.text() + (host.port.empty() ? ":5432" : "");
}
/// Of the pool of one host. `number`: of this instance.
template <class = void>
inline options settings_of(const options& all, const endpoint& only, const cluster_options& how, const std::string& number) {
  options out = all;
  out.set("host", only.host).set("hostaddr", only.hostaddr).set("port", only.port);
  out.set("target_session_attrs", "any").set("load_balance_hosts", "");
  const auto name = how.primary.name.view();
  if (out.get("fallback_application_name").empty() && name != pool_config().name.view())
    out.set("fallback_application_name", std::string(name));
  if (how.share_connections) out.set("application_name", shared_name(how) + number);
  return out;
}
/// Of its probe.
template <class = void>
inline options asked_by(const options& all, const endpoint& only, const cluster_options& how, const std::string& number) {
  options out = settings_of(all, only, how, number);
  if (how.share_connections) out.set("application_name", shared_name(how) + number + "?0");
  out.on_connect = {};
  out.on_reset = {};
  out.tracing = {};
  out.address_timeout = std::min(out.address_timeout, how.probe_timeout);
  out.response_timeout = no_limit;
  out.cancel_timeout = std::chrono::milliseconds(100);
  out.close_timeout = std::chrono::milliseconds(100);
  out.bad_host_memory = duration::zero();
  return out;
}
/// A pool connects only to a host that answers, so it need not be careful.
template <class = void>
inline pool_config config_of(const cluster_options& how, const std::string& host, bool as_primary) {
  pool_config out = as_primary ? how.primary : how.replicas;
  const std::string name = std::string(how.primary.name.view()) + " " + host;
  out.name = std::string_view(name).substr(0, 63);
  out.start = start_mode::lazy;
  out.max_waiting = no_limit;
  out.breaker_threshold = no_limit;
  out.max_retry_delay = std::min<duration>(out.max_retry_delay, std::chrono::milliseconds(250));
  out.retry_delay = std::min<duration>(out.retry_delay, std::chrono::milliseconds(100));
  out.min_size = out.min_idle = 0;
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
