// SPDX-License-Identifier: BSL-1.0
// tidepool - one physical connection with its place in the core, and the operation that runs on it.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_ENTRY_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_ENTRY_HPP

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../traits.hpp"
#include "../../version.hpp"
#include "../core/core_types.hpp"
#include "../util/stack_trace.hpp"
#include "traits_fit.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Where an operation runs and how it is cancelled. A signal must be emitted where its slot is used, hence the strand. Shared with the
/// coroutine, which may outlive the entry.
template <class Traits>
struct op_state {
  using executor_type = typename Traits::operation_executor;
  static constexpr bool needs_strand = !std::is_same_v<typename Traits::mutex_type, null_mutex>;

  explicit op_state(const typename Traits::executor_type& from) : executor(make(from)) {}

  static executor_type make(const typename Traits::executor_type& from) {
    if constexpr (needs_strand && std::is_constructible_v<executor_type, asio::strand<typename Traits::executor_type>>) {
      return asio::make_strand(from);
    } else {
      return from;
    }
  }

  executor_type executor;
  asio::cancellation_signal signal;
};

/// Rung when the peer of a connection has hung up. Shared with the connection, which may ring when its entry is gone.
using hangup_bell = std::shared_ptr<std::atomic<bool>>;
struct no_bell {};

template <class Connection, class Traits>
class pool_impl;

/// What is told of a connection; made where somebody is told.
struct entry_words {
  std::string server;  ///< what the connection says of itself
  std::string cause;   ///< why it is destroyed
};

template <class Connection, class Traits>
struct pool_entry : core_slot {
  explicit pool_entry(pool_impl<Connection, Traits>& owner) : pool(&owner) {}

  pool_impl<Connection, Traits>* pool;
  std::optional<Connection> connection;
  bool ready = false;  ///< the core knows the connection; before that only the connect's coroutine touches it
  std::shared_ptr<op_state<Traits>> op;
  std::unique_ptr<stack_trace> trace;
  std::unique_ptr<entry_words> words;

  std::string_view server() const noexcept { return words ? std::string_view(words->server) : std::string_view(); }
  std::string_view cause() const noexcept { return words ? std::string_view(words->cause) : std::string_view(); }
  /// Out of memory, it is not kept.
  void keep_words(std::string entry_words::*which, std::string text) noexcept {
    if (text.empty()) return;
    if (!words) words.reset(new (std::nothrow) entry_words);
    if (words) (*words).*which = std::move(text);
  }
  [[no_unique_address]] std::conditional_t<has_watch<reached_t<Connection>>, hangup_bell, no_bell> bell;
  std::shared_ptr<pool_impl<Connection, Traits>> keep;  ///< set once the pool has let go of it while its lease is out

  /// Whose members are called; may be null.
  reached_t<Connection>* target() noexcept { return reach(*connection); }
  const reached_t<Connection>* target() const noexcept { return reach(*connection); }
};

/// Only the pool makes leases that hold something.
struct make_lease {
  template <class Lease, class Connection, class Traits>
  static Lease of(pool_entry<Connection, Traits>* held) noexcept {
    return Lease(held);
  }
};

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

template <class Connection>
bool usable(const Connection& connection) noexcept {
  const auto* peer = reach(connection);
  if (!peer) return false;
  if constexpr (has_usable<reached_t<Connection>>) return std::as_const(*peer).usable();
  return true;
}
/// Empty where it does not say.
template <class Connection>
std::string server_of(const Connection& connection) noexcept {
  try {
    if constexpr (has_peer<reached_t<Connection>>) {
      if (const auto* target = reach(connection)) return std::string(target->peer());
    }
  } catch (...) {  // an empty text is all there is room for
  }
  return {};
}
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
  } catch (...) {
  }
  return {};
}
template <class Connection>
lease_end after_lease(const Connection& connection) noexcept {
  using peer_type = reached_t<Connection>;
  if constexpr (has_after_lease<peer_type>) {
    const peer_type* peer = reach(connection);
    return peer ? peer->after_lease() : lease_end::broken;
  } else {
    if (!usable(connection)) return lease_end::broken;
    return has_reset<peer_type> ? lease_end::needs_reset : lease_end::clean;
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
