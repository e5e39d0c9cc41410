// SPDX-License-Identifier: BSL-1.0
// tidepool - leases of a cluster as lanes of a multiplexer: whether their hosts may still be used, for each statement.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CLUSTER_LANES_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CLUSTER_LANES_HPP

#include <algorithm>
#include <memory>
#include <utility>

#include "../../../detail/core/decisions.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../cluster_lease.hpp"
#include "../../cluster_options.hpp"
#include "../../multiplexer_options.hpp"
#include "../../read_options.hpp"
#include "../mux/lane_source.hpp"
#include "present.hpp"
#include "standing.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// Looks into leases.
struct lane_lease {
  template <class Pool>
  static const typename Pool::lease& of_pool(const basic_cluster_lease<Pool>& held) noexcept {
    return held.lease_;
  }
  /// Without the lock. Where the proof of a replica will soon be too old, its host is asked for another one.
  template <class Pool>
  static bool fits(const basic_cluster_lease<Pool>& held, const read_options& wanted) noexcept {
    const auto& at = *held.place_;
    // For reads as well: nothing is behind the primary.
    if (at.at_primary) return at.standing->takes_writes();
    if (!at.standing->readable()) return false;
    if (wanted.max_lag == no_limit) return true;
    const auto now = present();
    const auto lag = at.standing->lag(now);
    if (lag > wanted.max_lag / 2 && at.standing->may_ask(now)) at.owner->want_proof(at);
    return lag <= wanted.max_lag;
  }
  /// It reads from the primary because there was no replica, and there is one now: within half the bound, so that it does not go to and
  /// fro.
  template <class Pool>
  static bool outdone(const basic_cluster_lease<Pool>& held, const read_options& wanted) noexcept {
    const auto& at = *held.place_;
    return at.at_primary && at.owner->replica_within(wanted.max_lag == no_limit ? wanted.max_lag : wanted.max_lag / 2);
  }
};

/// What `detail::mux::lane_source` is for a cluster. Lanes for writes are leases of the primary, lanes for reads are leases of replicas. A
/// lane belongs to its host: it never turns into one of the other kind.
template <class Cluster>
class cluster_lanes {
 public:
  using pool_type = typename Cluster::pool_type;
  using lease = basic_cluster_lease<pool_type>;
  static constexpr bool judges = true;

  cluster_lanes(const Cluster& of, const multiplexer_options& how) : shell_(of.shell_), reads_(how.reads) {}

  asio::awaitable<lease> acquire(mux::lane_kind kind) const { return Cluster::lane(shell_, kind == mux::lane_kind::write, reads_); }
  tidepool::detail::lease_recall recall(const lease& held, mux::lane_kind kind) const noexcept {
    const bool elsewhere = !fits(held) || (kind == mux::lane_kind::read && lane_lease::outdone(held, reads_));
    return elsewhere ? tidepool::detail::lease_recall::due : mux::recall_of(lane_lease::of_pool(held));
  }
  bool fits(const lease& held) const noexcept { return lane_lease::fits(held, reads_); }
  static duration reported(const Cluster& of) {
    const cluster_options& how = of.shell_->options_of();
    return std::min(mux::reported_after(how.primary), mux::reported_after(how.replicas));
  }

 private:
  std::shared_ptr<cluster_base<pool_type>> shell_;
  read_options reads_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
