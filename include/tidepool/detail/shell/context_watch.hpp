// SPDX-License-Identifier: BSL-1.0
// tidepool - tells pools that their execution context is being destroyed.
#ifndef TIDEPOOL_DETAIL_SHELL_CONTEXT_WATCH_HPP
#define TIDEPOOL_DETAIL_SHELL_CONTEXT_WATCH_HPP

#include <map>
#include <memory>
#include <mutex>

#include "../../version.hpp"
#include "../util/asio.hpp"
#include "context_client.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A service of the context: it is shut down before the scheduler destroys the coroutines that still hold leases, so that a pool
/// never posts to a context that is gone.
template <class = void>
class basic_context_watch : public asio::execution_context::service {
 public:
  using key_type = basic_context_watch;
  using client = context_client;

  inline static asio::execution_context::id id;

  explicit basic_context_watch(asio::execution_context& context) : service(context) {}

  void add(client& who, std::weak_ptr<client> handle) {
    const std::lock_guard lock(mutex_);
    clients_[&who] = std::move(handle);
  }
  void remove(client& who) noexcept {
    const std::lock_guard lock(mutex_);
    clients_.erase(&who);
  }

 private:
  void shutdown() noexcept override {
    for (;;) {
      std::shared_ptr<client> who;
      {
        const std::lock_guard lock(mutex_);
        if (clients_.empty()) return;
        who = clients_.begin()->second.lock();
        clients_.erase(clients_.begin());
      }
      if (who) who->context_shutdown();
    }
  }

  std::mutex mutex_;
  std::map<client*, std::weak_ptr<client>> clients_;
};
using context_watch = basic_context_watch<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
