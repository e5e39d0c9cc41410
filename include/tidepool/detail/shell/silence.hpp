// SPDX-License-Identifier: BSL-1.0
// tidepool - leases whose server does not answer: counted, so that their holders are not blamed.
#ifndef TIDEPOOL_DETAIL_SHELL_SILENCE_HPP
#define TIDEPOOL_DETAIL_SHELL_SILENCE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "../../config.hpp"
#include "../../events.hpp"
#include "../../version.hpp"
#include "../core/core_actions.hpp"
#include "connection_calls.hpp"
#include "pool_entry.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// For connections that tell since when they wait for their server. All of it under the pool's lock.
template <class Connection, class Traits>
class silence_watch {
 public:
  static constexpr std::size_t most_text = 160;
  /// Of the latest look.
  struct report {
    std::size_t silent = 0;  ///< leases that have waited for the threshold or longer
    std::size_t leases = 0;  ///< all of them
    duration longest{};
    std::string server;  ///< of the one that waits longest
  };

  explicit silence_watch(const pool_config& config) {
    reconfigure(config);
    found_.server.reserve(most_text);  // nothing is allocated under the lock
  }

  void reconfigure(const pool_config& config) noexcept {
    threshold_ = std::min<duration>(std::chrono::seconds(5), config.response_timeout / 2);
  }
  /// Goes through all leases, so many callers that fail together are told one and the same report.
  template <class Core>
  const report& look(const Core& core) noexcept {
    const tick now = precise_now<Traits>();
    if (now - at_ < fresh) return found_;
    at_ = now;
    found_.silent = found_.leases = 0;
    found_.longest = duration::zero();
    const entry* worst = nullptr;
    (void)core.find_lease([&](core_slot& slot) {
      if (slot.state != slot_state::leased) return false;  // its connection was taken back from the holder
      const entry& e = static_cast<entry&>(slot);
      const duration waiting = waiting_for(e, now);
      ++found_.leases;
      if (waiting < threshold_) return false;
      ++found_.silent;
      if (waiting > found_.longest) {
        found_.longest = waiting;
        worst = &e;
      }
      return false;
    });
    // Only a text that can be looked at without memory: this is under the lock.
    if constexpr (requires(const reached_t<Connection>& c) {
                    std::string_view(c.peer());
                    requires !std::is_same_v<decltype(c.peer()), std::string>;
                  }) {
      if (worst) found_.server.assign(std::string_view(worst->target()->peer()).substr(0, most_text));
    }
    return found_;
  }
  /// A pool most of whose leases wait for a silent server is not healthy, whatever the core knows.
  pool_state seen(pool_state known) const noexcept {
    const bool silent = found_.silent > 0 && found_.silent * 2 >= found_.leases;
    return silent && known == pool_state::healthy ? pool_state::degraded : known;
  }
  /// Completes a report on a lease.
  static void add_waiting(const core_slot& slot, lease_report& to, tick now) noexcept {
    if (slot.state == slot_state::leased) to.waiting = waiting_for(static_cast<const entry&>(slot), now);
  }

 private:
  using entry = pool_entry<Connection, Traits>;
  using clock = typename Traits::clock_type;
  static constexpr duration fresh = std::chrono::milliseconds(100);

  /// How long the holder has been waiting for the server; zero when it does not.
  static duration waiting_for(const entry& e, tick now) noexcept {
    const auto* target = e.target();
    if (!target) return duration::zero();
    const tick since = tick_of(typename clock::time_point(target->waiting_since()));
    return since == not_known || since > now ? duration::zero() : now - since;
  }

  tick at_ = tick(-fresh);
  report found_;
  duration threshold_{};
};

/// For connections that do not tell.
struct no_silence_watch {
  explicit no_silence_watch(const pool_config&) noexcept {}
  static constexpr void reconfigure(const pool_config&) noexcept {}
  static constexpr pool_state seen(pool_state known) noexcept { return known; }
  static void add_waiting(const core_slot&, lease_report&, tick) noexcept {}
};
template <class Connection, class Traits>
using silence_watch_for =
    std::conditional_t<abilities<Connection, Traits>::tells_waiting, silence_watch<Connection, Traits>, no_silence_watch>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
