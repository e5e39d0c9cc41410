// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool at the moment a wait failed, and what one step of the pool asks of the shell.
#ifndef TIDEPOOL_DETAIL_SHELL_FAILURE_SNAPSHOT_HPP
#define TIDEPOOL_DETAIL_SHELL_FAILURE_SNAPSHOT_HPP

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "../../bounded_string.hpp"
#include "../../pool_error.hpp"
#include "../../version.hpp"
#include "../core/core_actions.hpp"
#include "../util/linkage.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Of a fixed size, because it is filled under the lock. All who fail in one step of the pool share it.
struct failure_snapshot {
  tick at{};
  bounded_string<63> pool{};
  pool_gauges gauges{};
  bool destroyed = false;
  std::size_t max_waiting = 0;
  connect_outlook outlook{};
  std::array<lease_report, 8> holders{};
  std::size_t held = 0;
  bounded_string<512> last_connect_error{};
  duration last_connect_error_age{};
  std::size_t silent = 0;
  duration longest_silence{};
  bounded_string<160> silent_server{};
};
using failure_ptr = std::shared_ptr<const failure_snapshot>;  // as in failure.hpp, which needs no more than the name

/// What one step of the pool asks of the shell.
struct pool_actions : core_actions {
  std::optional<failure_snapshot> snapshot;
  failure_ptr seen;

  /// Without the lock. Null when there is no memory for it. Keeps the pool as well: until its coroutine runs, a caller may be cancelled,
  /// and asks the pool for it.
  const failure_ptr& share(std::shared_ptr<const void> pool) noexcept {
    if (snapshot) {
      try {
        auto made = std::make_shared<const kept_snapshot>(kept_snapshot{*snapshot, pool});
        seen = failure_ptr(made, &made->snapshot);
      } catch (...) {
        seen.reset();
      }
      snapshot.reset();
    }
    if (!seen) seen = failure_ptr(std::move(pool), nullptr);
    return seen;
  }

 private:
  struct kept_snapshot {
    failure_snapshot snapshot;
    std::shared_ptr<const void> pool;
  };
};

/// `snapshot` may be null, for want of memory.
TIDEPOOL_DECL error_report report_of(const core_waiter& w, const failure_snapshot* snapshot);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/failure.ipp"
#endif

#endif
