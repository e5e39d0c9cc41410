// SPDX-License-Identifier: BSL-1.0
// tidepool - what a pool asks of its connections, each of which offers what it likes (see connection.hpp).
#ifndef TIDEPOOL_DETAIL_SHELL_CONNECTION_CALLS_HPP
#define TIDEPOOL_DETAIL_SHELL_CONNECTION_CALLS_HPP

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "../../connection.hpp"
#include "../../time.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "traits_fit.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What can be done with a connection of this type in this pool.
template <class Connection, class Traits>
struct abilities {
  using health_policy = typename Traits::health_policy;
  using clock = typename Traits::clock_type;
  using target = reached_t<Connection>;
  static constexpr bool custom_validation = validates<health_policy, Connection> || validates<health_policy, target>;
  static constexpr bool query = has_ping_query<target>;
  static constexpr bool validate = health_policy::enabled && (custom_validation || has_ping<target> || query);
  static constexpr bool check = health_policy::enabled && (validate || has_usable<target>);
  static constexpr bool watch = check && has_watch<target>;
  static constexpr bool tells_waiting = has_waiting_since<target, typename clock::time_point>;
};

/// No round trip.
template <class Connection>
bool usable(const Connection& connection) noexcept {
  const auto* target = reach(connection);
  if (!target) return false;
  if constexpr (has_usable<reached_t<Connection>>) return std::as_const(*target).usable();
  return true;
}
/// What its lease leaves behind, asked at its end.
template <class Connection>
lease_end after_lease(const Connection& connection) noexcept {
  using target_type = reached_t<Connection>;
  if constexpr (has_after_lease<target_type>) {
    const target_type* target = reach(connection);
    return target ? target->after_lease() : lease_end::broken;
  } else {
    if (!usable(connection)) return lease_end::broken;
    return has_reset<target_type> ? lease_end::needs_reset : lease_end::clean;
  }
}
/// When its server last answered; `not_known` where it does not tell.
template <class Clock, class Connection>
tick last_round_trip(const Connection& connection) noexcept {
  if constexpr (has_last_round_trip<reached_t<Connection>, typename Clock::time_point>) {
    if (const auto* target = reach(connection)) {
      return tick_of(typename Clock::time_point(target->last_round_trip()));
    }
  }
  return not_known;
}
/// After a health policy threw: of a connection that is usable otherwise this was the policy's word.
template <class Connection>
void tell_rejected(Connection& connection) noexcept {
  if constexpr (has_rejected<reached_t<Connection>>) {
    if (!usable(connection)) return;
    if (auto* target = reach(connection)) target->rejected();
  }
}
/// On any thread, also while the connection is in use on another one. `why` is for the operations that fail because of it.
template <class Target>
void abort_connection(Target& target, [[maybe_unused]] std::string_view why) noexcept {
  if constexpr (has_abort_with_reason<Target>) {
    target.abort(why);
  } else if constexpr (has_abort<Target>) {
    target.abort();
  }
}
/// Empty where it does not say.
template <class Connection>
std::string server_of(const Connection& connection) noexcept {
  try {
    if constexpr (has_peer<reached_t<Connection>>) {
      if (const auto* target = reach(connection)) return std::string(target->peer());
    }
  } catch (...) {  // out of memory: there is room for an empty text only
  }
  return {};
}
/// `otherwise` where it does not say.
template <class Connection>
std::string why_broken(const Connection& connection, const char* otherwise) noexcept {
  try {
    if constexpr (has_why_broken<reached_t<Connection>>) {
      const auto* target = reach(connection);
      std::string said;
      if (target) said = std::string(target->why_broken());
      if (!said.empty()) return said;
    }
    return otherwise;
  } catch (...) {  // out of memory
  }
  return {};
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
