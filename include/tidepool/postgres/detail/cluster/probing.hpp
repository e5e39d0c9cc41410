// SPDX-License-Identifier: BSL-1.0
// tidepool - asks each host of a cluster when its core wants to know, and keeps to the budget that it shares.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBING_HPP

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "../../../version.hpp"
#include "../../connector.hpp"
#include "callers.hpp"
#include "probe.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

template <class Pool>
class host_watch : public caller_desk<Pool> {
  using base = caller_desk<Pool>;

 protected:
  using base::base;
  using base::clock_wakes_, base::core_, base::event, base::executor_, base::how_, base::mutex_, base::nodes_, base::reads_, base::stopped_;

  void start() {
    {
      const std::lock_guard lock(mutex_);
      if (started_ || stopped_) return;
      started_ = true;
    }
    const auto self = std::static_pointer_cast<host_watch>(this->shared_from_this());
    asio::co_spawn(executor_, keep_time(self), asio::detached);
    for (std::size_t i = 0; i < nodes_.size(); ++i) asio::co_spawn(executor_, keep_asking(self, i), asio::detached);
  }
  /// From the first read on, pools of standbys keep their floor.
  void begin_to_read() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(reads_, true)) return;
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (const auto db = this->pool_at(i)) this->adapt(i, *db);
    }
  }
  bool refused_write(std::size_t i) noexcept {
    bool retire = false;
    event([&](tick now) { retire = core_.refused_write(i, now); });
    return retire;
  }
  /// Tells of a server without room.
  static asio::awaitable<connection> connect(connector inner, typename Pool::connect_context context, std::weak_ptr<host_watch> to,
                                             std::size_t i) {
    std::exception_ptr failure;
    bool full = false;
    try {
      auto work = inner(context);
      connection made = co_await std::move(work);
      co_return made;
    } catch (const connect_error& failed) {
      full = failed.kind() == failure_kind::server_full;
      failure = std::current_exception();
    }
    if (const auto self = to.lock(); self && full) self->server_full(i);
    std::rethrow_exception(failure);
  }

 private:
  // --- the budget -------------------------------------------------------------------------------------------------------

  /// With the lock held. True: the pool gets other bounds.
  bool set_bound(std::size_t i, tick now) {
    auto& n = nodes_[i];
    const auto bound = n.budget->cap();
    if (bound == n.bound) return false;
    n.bound = bound;
    core_.set_room(i, std::min(bound, how_.primary.max_size), std::min(bound, how_.replicas.max_size), now);
    return true;
  }
  void bounds_changed(std::size_t i) noexcept {
    const auto db = this->pool_at(i);
    if (!db) return;
    try {
      this->adapt(i, *db);
    } catch (const std::exception&) {  // no memory: with the next probe
    }
  }
  void server_full(std::size_t i) noexcept {
    const auto db = this->pool_at(i);
    if (!db) return;
    const auto stats = db->stats();
    bool changed = false;
    event([&](tick now) {
      nodes_[i].budget->full(stats.total_connections - stats.connecting);
      changed = set_bound(i, now);
    });
    if (changed) bounds_changed(i);
  }
  /// With the lock held, after a probe.
  bool counted(std::size_t i, const budget_view& view, tick now) {
    auto& n = nodes_[i];
    n.budget->seen(view);
    const bool changed = set_bound(i, now);
    n.lacks = n.budget->lack(core_.wanted(i), view.mine);
    n.hungry = n.budget->hungry(core_.wanted(i));
    return changed;
  }

  // --- probes -----------------------------------------------------------------------------------------------------------

  /// Lets the core know when time has passed.
  static asio::awaitable<void> keep_time(std::shared_ptr<host_watch> self) {
    real_timer timer(co_await asio::this_coro::executor);
    for (;;) {
      tick at{};
      {
        const std::lock_guard lock(self->mutex_);
        if (self->stopped_) co_return;
        at = self->armed_ = self->core_.next();
      }
      const auto wakes = self->clock_wakes_;
      if (at != never) {
        timer.expires_at(time_of(at));
        timer.async_wait([weak = std::weak_ptr<wake_event>(wakes)](error_code failed) {
          const auto alive = weak.lock();
          if (!failed && alive) alive->set();
        });
      }
      const auto opens = wakes->next();
      co_await wake_event::gate::wait(opens);
      wakes->reset();
      timer.cancel();
      self->event([](tick) {});
    }
  }
  /// Asks one host, whenever the core wants to know.
  static asio::awaitable<void> keep_asking(std::shared_ptr<host_watch> self, std::size_t i) {
    // In this frame alone: it ends with the context, and its socket has to.
    const auto line = std::make_shared<probe_line>();
    line->settings = self->nodes_[i].asked_by;
    line->timeout = self->how_.probe_timeout;
    if (self->how_.share_connections) {
      line->shared = shared_name(self->how_);
      line->number = self->number_;
    }
    for (;;) {
      bool ordered = false;
      {
        const std::lock_guard lock(self->mutex_);
        if (self->stopped_) break;
        ordered = std::exchange(self->nodes_[i].ordered, false);
        line->lacks = self->nodes_[i].lacks;
        line->hungry = self->nodes_[i].hungry;
      }
      if (!ordered) {
        const auto opens = self->nodes_[i].wakes->next();
        co_await wake_event::gate::wait(opens);
        self->nodes_[i].wakes->reset();
        continue;
      }
      probe_result told;
      try {
        auto work = probe(line);
        told = co_await std::move(work);
      } catch (const std::exception& failure) {  // no memory
        told.error = failure.what();
      }
      bool bounds = false;
      self->event([&](tick now) {
        if (told.view) bounds = self->counted(i, *told.view, now);
        self->nodes_[i].error = std::move(told.error);
        if (told.good) {
          self->core_.answered(i, told.said, now);
        } else {
          if (told.why == probe_failure::full && self->nodes_[i].budget) self->nodes_[i].budget->full(self->core_.at(i).in_use);
          self->core_.failed(i, told.why, now);
        }
      });
      if (bounds) self->bounds_changed(i);
    }
  }

  bool started_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
