// SPDX-License-Identifier: BSL-1.0
// tidepool - the hosts of a cluster's core, and when each is asked next.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_TABLE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_TABLE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "../../../detail/util/random.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "host_record.hpp"
#include "rules.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// What the parts of a cluster's core share.
struct host_table {
  host_table(std::size_t count, const rules& given, std::uint64_t seed, tick now) : limits(given), all(count), random(seed) {
    for (auto& x : all) x.due = x.since = now;
  }
  host_table(const host_table&) = delete;
  host_table& operator=(const host_table&) = delete;

  /// The one that gets writes now.
  std::size_t primary() const noexcept {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].takes_writes()) return i;
    }
    return no_host;
  }
  /// A host of which nothing is known, in the place of one that is gone where there is such.
  std::size_t add(tick now) {
    std::size_t i = 0;
    while (i < all.size() && !all[i].vacant()) ++i;
    if (i == all.size()) {
      all.emplace_back();
    } else {
      std::destroy_at(&all[i]);
      std::construct_at(&all[i]);
    }
    all[i].due = all[i].since = now;
    return i;
  }
  /// A probe has ended; when is the next one?
  void probe_ended(host& x, bool hurried, tick now) noexcept {
    x.in_flight = false;
    x.outcome = x.began;
    const auto pause = hurried ? limits.hurried : limits.interval;
    const auto spread = std::chrono::duration_cast<duration>(pause * (0.9 + 0.2 * random.unit()));
    x.due = std::max(now, later(x.began, spread));
    if (std::exchange(x.again, false)) want_probe(x, now);
  }
  /// Somebody waits for an answer that is made from now on.
  void want_probe(host& x, tick now) noexcept {
    if (x.leaving) return;
    if (x.in_flight) {
      x.again = true;
      return;
    }
    const tick soonest = x.began == not_known ? now : std::max(now, later(x.began, limits.spacing));
    x.due = std::min(x.due, soonest);
  }
  /// Somebody would like a younger answer: that of a probe in flight does.
  void want_fresh(host& x, tick now) noexcept {
    if (!x.in_flight) want_probe(x, now);
  }

  const rules limits;
  std::deque<host> all;  ///< they stay where they are
  tidepool::detail::splitmix random;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
