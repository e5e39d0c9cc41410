// SPDX-License-Identifier: BSL-1.0
// tidepool - where a multiplexer's lanes get their connections from: a pool, or a cluster, which has a source of its own.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_SOURCE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_SOURCE_HPP

#include <utility>

#include "../../../config.hpp"
#include "../../../detail/core/decisions.hpp"
#include "../../../detail/shell/pool_entry.hpp"
#include "../../../source_location.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../multiplexer_options.hpp"
#include "job.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// When the pool would report that a lease is held for too long.
inline duration reported_after(const pool_config& of) noexcept { return of.leak_detection ? of.leak_timeout : duration(no_limit); }
/// Whether the pool of this lease wants it back.
template <class Lease>
tidepool::detail::lease_recall recall_of(const Lease& held) noexcept {
  const auto* const entry = tidepool::detail::make_lease::held_by(held);
  return entry == nullptr ? tidepool::detail::lease_recall::none : entry->pool->recall(*entry);
}

/// A copy is cheap, and works when the pool is gone: then it gives no more leases.
template <class Pool>
class lane_source {
 public:
  using lease = typename Pool::lease;
  /// Whether a lane can lose the right to its statements while it works: then there is `fits(lease)`.
  static constexpr bool judges = false;

  lane_source(const Pool& of, const multiplexer_options&) : pool_(tidepool::detail::make_lease::maker_of(of)) {}

  auto acquire(lane_kind) const { return pool_->acquire(pool_->config().acquire_timeout, source_location::current()); }
  tidepool::detail::lease_recall recall(const lease& held, lane_kind) const noexcept { return recall_of(held); }
  static duration reported(const Pool& of) { return reported_after(of.config()); }

 private:
  decltype(tidepool::detail::make_lease::maker_of(std::declval<const Pool&>())) pool_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
