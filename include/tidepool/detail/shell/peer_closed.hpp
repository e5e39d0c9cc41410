// SPDX-License-Identifier: BSL-1.0
// tidepool - the flag that says that the peer of a connection has closed it, set by connections that can tell (`has_watch`).
#ifndef TIDEPOOL_DETAIL_SHELL_PEER_CLOSED_HPP
#define TIDEPOOL_DETAIL_SHELL_PEER_CLOSED_HPP

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

#include "../../connection.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Set by the connection on any thread, read by the pool. What the connection calls has a share in it, because it may call late, when the
/// entry is gone.
class peer_closed_flag {
 public:
  bool is_set() const noexcept { return flag_ && flag_->load(std::memory_order_acquire); }
  /// Asks `connection` to set it and to call `then` afterwards. Throws what `watch()` throws; it is then never set.
  template <class Connection, class Then>
  void watch(Connection& connection, Then then) {
    const auto flag = std::make_shared<std::atomic<bool>>(false);
    connection.watch([flag, then = std::move(then)] {
      flag->store(true, std::memory_order_release);
      then();
    });
    flag_ = flag;
  }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};
/// For connections that do not tell.
struct no_peer_closed_flag {
  static constexpr bool is_set() noexcept { return false; }
};
template <class Connection>
using peer_closed_flag_for = std::conditional_t<has_watch<Connection>, peer_closed_flag, no_peer_closed_flag>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
