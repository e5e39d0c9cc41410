// SPDX-License-Identifier: BSL-1.0
// tidepool - a change of a host or of the cluster, for an observer and the log.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_STATE_CHANGE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_STATE_CHANGE_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include "../../../detail/util/words.hpp"
#include "../../../policy/observer.hpp"
#include "../../../version.hpp"
#include "../../topology.hpp"
#include "rules.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

struct state_change {
  std::size_t host = no_host;  ///< none: it is about the cluster
  host_state from{}, to{};
  cluster_state before{}, after{};
  std::string error{};

  /// Valid as long as this and the name.
  cluster_event event(std::string_view name) const {
    cluster_event out;
    if (host != no_host) out.host = name;
    out.from = from;
    out.to = to;
    out.before = before;
    out.after = after;
    out.error = error;
    return out;
  }
  bool bad() const noexcept {
    if (host == no_host) return after != cluster_state::one_primary;
    return to == host_state::unreachable || to == host_state::silent || to == host_state::fenced;
  }
  log_level level() const noexcept { return bad() ? log_level::warning : log_level::info; }
  std::string line(std::string_view cluster, std::string_view name) const {
    std::string out(cluster);
    out += host != no_host ? ": host " + std::string(name) + " " + to_string(from) + " -> " + to_string(to)
                           : std::string(": cluster ") + to_string(before) + " -> " + to_string(after);
    if (!error.empty() && bad()) out += ": " + tidepool::detail::one_line(error);
    return out;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
