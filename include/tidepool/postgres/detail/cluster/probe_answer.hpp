// SPDX-License-Identifier: BSL-1.0
// tidepool - what a server says of itself when it is asked, or why it says nothing.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBE_ANSWER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBE_ANSWER_HPP

#include <cstdint>

#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// What a server says of itself.
struct probe_answer {
  bool standby = false;
  bool read_only = false;
  bool pooled = false;
  std::uint32_t timeline = 0;    ///< of a primary; of a standby that of its latest checkpoint, or 0
  std::uint64_t lsn = 0;         ///< a primary's end of log; what a standby has replayed; 0: not known
  std::int64_t clock = 0;        ///< in microseconds
  std::int64_t replayed_at = 0;  ///< of the latest commit that a standby has replayed, by the primary's clock; 0: not known
};

enum class probe_failure {
  lost,         ///< a connection that had worked ended: asked again at once
  unreachable,  ///< connecting failed, or the server cannot be asked
  silent,       ///< no answer in time
  starting,
  full,      ///< it has no room for another connection
  permanent  ///< wrong password, no such database
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
