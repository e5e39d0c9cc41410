// SPDX-License-Identifier: BSL-1.0
// tidepool - a multiplexer over a cluster: writes at the primary, reads at replicas within a bound.
#ifndef TIDEPOOL_POSTGRES_CLUSTER_MULTIPLEXER_HPP
#define TIDEPOOL_POSTGRES_CLUSTER_MULTIPLEXER_HPP

#include "../version.hpp"
#include "cluster.hpp"
#include "detail/cluster/cluster_lanes.hpp"
#include "detail/mux/lane_source.hpp"
#include "multiplexer.hpp"
#include "multiplexers.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail::mux {
template <>
class lane_source<cluster> : public fleet::cluster_lanes<cluster> {
 public:
  using fleet::cluster_lanes<cluster>::cluster_lanes;
};
}  // namespace detail::mux

/// As a `multiplexer`, with a cluster instead of a pool:
///
///     postgres::multiplexer_options how;
///     how.reads.max_lag = 2s;
///     postgres::cluster_multiplexer mux(db, how);
/// `exec()` and its like run at the primary. `read()` and its like run at replicas as `how.reads` asks for, or at the primary where its
/// `fallback` says so. That is judged for each statement when it is sent, not only when its connection is taken: a connection whose host
/// has lost its place, does not answer or is too far behind gets no more statements, is given back when what was sent is answered, and
/// another one is taken. Where its host falls silent, or has lost its place, it is shut after `cluster_options::abort_grace`: then reads
/// are sent elsewhere, and writes have an unknown outcome. Reads go back from the primary to replicas within a second or so.
///
/// Errors besides those of a multiplexer: cluster_error where the cluster gives no lease. The cluster may be destroyed before it.
using cluster_multiplexer = basic_multiplexer<cluster>;
/// The same for several threads, as `multiplexers`.
using cluster_multiplexers = basic_multiplexers<cluster>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
