// SPDX-License-Identifier: BSL-1.0
// tidepool - a host of a cluster with its pool, and the budget of that.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_NODE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_NODE_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "../../../detail/util/intrusive_list.hpp"
#include "../../../version.hpp"
#include "../../cluster_lease.hpp"
#include "../../options.hpp"
#include "../../topology.hpp"
#include "budget_core.hpp"
#include "host_door.hpp"
#include "host_record.hpp"
#include "standing.hpp"
#include "wake_event.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// Is copied under the lock, where nothing is allocated. Null: empty.
using shared_text = std::shared_ptr<const std::string>;
inline std::string text_of(const shared_text& of) { return of ? *of : std::string(); }

/// A host with its pool.
template <class Pool>
struct node {
  shared_text name{};
  std::uint64_t tenure = 0;                   ///< of the host at this place: another one has another
  std::size_t order = 0;                      ///< in the connection string
  std::shared_ptr<const options> asked_by{};  ///< of the probes
  std::shared_ptr<host_door> door{};
  std::shared_ptr<Pool> db{};  ///< null when the host was removed, or the cluster object is gone
  bool as_primary = false;     ///< what the pool is configured for
  bool ordered = false;        ///< a probe
  std::shared_ptr<wake_event> wakes = std::make_shared<wake_event>();
  shared_text error{};
  std::string address{};    ///< that the probe is connected to
  bool named_anew = false;  ///< its name does not lead there any more: the probe connects again
  std::optional<budget_core> budget{};
  std::size_t bound = 0;  ///< that its pool has of it
  std::size_t lacks = 0;  ///< to be told with the next probe, as the next
  bool hungry = false;
  tidepool::detail::intrusive_list<place<Pool>> leases{};
  host_state told{};
  orders due{};             ///< to be carried out without the lock
  std::size_t to_stop = 0;  ///< of its leases
  host_report shut_for{};   ///< what it was when its leases were to be shut; without texts
  host_standing standing{};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
