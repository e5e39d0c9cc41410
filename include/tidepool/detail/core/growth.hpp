// SPDX-License-Identifier: BSL-1.0
// tidepool - how many connects to begin.
#ifndef TIDEPOOL_DETAIL_CORE_GROWTH_HPP
#define TIDEPOOL_DETAIL_CORE_GROWTH_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// `wanted - there`, or zero.
constexpr std::size_t missing(std::size_t wanted, std::size_t there) noexcept { return wanted > there ? wanted - there : 0; }

/// What is asked for.
struct connect_demand {
  std::size_t callers = 0;  ///< waiting, without those for whom a return is expected sooner
  std::size_t floor = 0;    ///< connections to be open in any case
  std::size_t spares = 0;   ///< idle ones that are missing
};
/// What is there.
struct connect_supply {
  std::size_t open = 0;        ///< connections, attempts included
  std::size_t connecting = 0;  ///< attempts in flight
};
/// What there is room for.
struct connect_room {
  std::size_t slots = 0;    ///< up to `max_size`
  std::size_t at_once = 0;  ///< attempts in flight
};
struct connects {
  std::size_t wanted = 0;  ///< also those that have to wait for an attempt in flight
  std::size_t now = 0;
};

/// One connection serves all three kinds of demand, so the largest counts.
constexpr connects connects_to_start(connect_demand demand, connect_supply there, connect_room room) noexcept {
  connects out;
  out.wanted = (std::min)((std::max)({demand.callers, missing(demand.floor, there.open), demand.spares}), room.slots);
  out.now = (std::min)(out.wanted, missing(room.at_once, there.connecting));
  return out;
}

/// Whether a lease comes back sooner than a connect would be done.
///
/// A burst of short leases is over before a connect would be. With n leases out that are held for h on average one comes back every h / n,
/// so that within the time c of a connect c * n / h callers are served: so many connects are put off. With h unknown (no lease has come
/// back yet) all are, for an eighth of c.
///
/// The estimate may be wrong (leases that are never given back), and it is blind to a queue that is short and never empty. So growth is put
/// off for c at most, counted from the arrival of the first caller in line, or of the first caller it was put off for: if there is a caller
/// without a connection then, connects begin. Nothing is put off without leases out, before the first connect, or below `min_size` and
/// `min_idle`.
class return_estimate {
 public:
  void connect_took(duration time) noexcept { learn(connect_, time); }
  void lease_took(duration time) noexcept { learn(hold_, time); }

  /// Of so many callers without a connection on its way, those who are to wait for a return. `first_since`: the arrival of the first in
  /// line; `full`: no further connection may be opened anyway.
  std::size_t served_by_returns(std::size_t asked, tick first_since, std::size_t leases, bool full, tick now) noexcept {
    if (asked == 0 && now < until_ && until_ != never) return 0;  // looked at then
    tick since = (std::min)(std::exchange(since_, never), now);
    until_ = never;
    if (asked == 0 || leases == 0 || connect_ <= duration::zero() || full) return 0;
    since = (std::min)(since, first_since);
    std::size_t served = asked;
    tick until = later(since, connect_ / 8);
    if (hold_ >= duration::zero()) {
      until = later(since, connect_);
      const double hold = (std::max)(1.0, static_cast<double>(hold_.count()));
      const double within = static_cast<double>(connect_.count()) * static_cast<double>(leases) / hold;
      if (within < static_cast<double>(asked)) served = static_cast<std::size_t>(within);
    }
    if (served == 0) return 0;
    since_ = since;
    if (now >= until) return 0;  // from now on, until one begins
    until_ = until;
    return served;
  }
  /// A caller was refused, which is demand as well: nothing is put off for those who wait.
  void refused() noexcept { since_ = (tick::min)(); }
  /// A connect begins.
  void connecting() noexcept {
    if (until_ == never) since_ = never;
  }
  /// Nothing is opened at all.
  void stop() noexcept { since_ = until_ = never; }
  /// When to look again; `never` while nothing is put off.
  tick until() const noexcept { return until_; }

 private:
  static constexpr duration unknown = duration(-1);
  /// A mean in which what is long ago counts less and less.
  static void learn(duration& mean, duration one) noexcept { mean = mean == unknown ? one : mean + (one - mean) / 8; }

  duration hold_ = unknown;     ///< of leases that were timed
  duration connect_ = unknown;  ///< of connects that succeeded
  tick since_ = never;          ///< of the first caller that waits for returns instead
  tick until_ = never;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
