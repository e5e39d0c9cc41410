// SPDX-License-Identifier: BSL-1.0
// tidepool - asks each host of a cluster when its core wants to know, and keeps to the budget that it shares.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBING_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

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
    const auto self = std::static_pointer_cast<host_watch>(this->shared_from_this());
    const auto hosts = this->template of_hosts<std::uint64_t>([this](auto& out) {
      if (started_ || stopped_) return false;
      started_ = true;
      for (const auto& n : nodes_) out.push_back(n.tenure);
      return true;
    });
    if (!hosts) return;
    asio::co_spawn(executor_, keep_time(self), asio::detached);
    for (const auto each : *hosts) watch(self, each);
  }
  bool started() const {
    const std::lock_guard lock(mutex_);
    return started_ && !stopped_;
  }
  static void watch(const std::shared_ptr<host_watch>& self, std::uint64_t host) {
    asio::co_spawn(self->executor_, keep_asking(self, host), asio::detached);
  }
  /// From the first read on, pools of standbys keep their floor.
  void begin_to_read() {
    std::size_t count = 0;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(reads_, true)) return;
      count = nodes_.size();
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (const auto db = this->pool_at(i)) this->adapt(i, *db);
    }
  }
  bool refused_write(std::uint64_t host) noexcept {
    bool retire = true;
    event([&](tick now) {
      if (const auto i = this->index_of(host); i != no_host) retire = core_.refused_write(i, now);
    });
    return retire;
  }
  /// To where the probe has been. Tells of a server without room.
  static asio::awaitable<connection> connect(std::shared_ptr<host_door> door, typename Pool::connect_context context,
                                             std::weak_ptr<host_watch> to, std::uint64_t host) {
    std::exception_ptr failure;
    bool full = false;
    try {
      const auto made_by = door->now();
      auto work = made_by(context);
      connection made = co_await std::move(work);
      co_return made;
    } catch (const connect_error& failed) {
      full = failed.kind() == failure_kind::server_full;
      failure = std::current_exception();
    }
    if (const auto self = to.lock(); self && full) self->server_full(host);
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
  void server_full(std::uint64_t host) noexcept {
    std::size_t i = no_host;
    std::shared_ptr<Pool> db;
    {
      const std::lock_guard lock(mutex_);
      i = this->index_of(host);
      if (i != no_host && nodes_[i].budget) db = nodes_[i].db;
    }
    if (!db) return;
    const auto stats = db->stats();
    bool changed = false;
    event([&](tick now) {
      if (this->index_of(host) != i) return;
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
  /// Asks one host, whenever the core wants to know, for as long as it is one.
  static asio::awaitable<void> keep_asking(std::shared_ptr<host_watch> self, std::uint64_t host) {
    // In this frame alone: it ends with the context, and its socket has to.
    const auto line = std::make_shared<probe_line>();
    const auto wakes = self->prepare(host, *line);
    std::string server;
    while (wakes) {
      bool ordered = false;
      {
        const std::lock_guard lock(self->mutex_);
        const auto i = self->index_of(host);
        if (self->stopped_ || i == no_host) break;
        auto& n = self->nodes_[i];
        ordered = std::exchange(n.ordered, false);
        line->lacks = n.lacks;
        line->hungry = n.hungry;
        if (std::exchange(n.named_anew, false)) line->held = connection();
      }
      if (!ordered) {
        const auto opens = wakes->next();
        co_await wake_event::gate::wait(opens);
        wakes->reset();
        continue;
      }
      probe_result told;
      try {
        auto work = probe(line);
        told = co_await std::move(work);
      } catch (const std::exception& failure) {  // no memory
        told.error = failure.what();
      }
      const bool moved = !told.server.empty() && !server.empty() && told.server != server;
      if (!told.server.empty()) server = told.server;
      self->heard(host, *line, told, moved);
    }
    self->nothing_asked(host);
  }
  /// What the probe of a host needs; null where it was removed before.
  std::shared_ptr<wake_event> prepare(std::uint64_t host, probe_line& line) const {
    line.timeout = how_.probe_timeout;
    if (how_.share_connections) {
      line.shared = shared_name(how_);
      line.number = this->number_;
    }
    const std::lock_guard lock(mutex_);
    const auto i = this->index_of(host);
    if (i == no_host) return nullptr;
    line.settings = nodes_[i].asked_by;
    return nodes_[i].wakes;
  }
  void heard(std::uint64_t host, const probe_line& line, probe_result& told, bool moved) noexcept {
    std::size_t at = no_host;
    bool bounds = false;
    shared_text error;
    std::string address;
    std::shared_ptr<host_door> door;
    {
      const std::lock_guard lock(mutex_);
      if (const auto i = this->index_of(host); i != no_host) door = nodes_[i].door;
    }
    try {
      if (!told.error.empty()) error = std::make_shared<const std::string>(std::move(told.error));
      address = line.address();
      if (door && told.good) door->lead_to(address);
    } catch (const std::exception&) {  // no memory: its pool may lead elsewhere
      told.good = false;
      told.why = probe_failure::unreachable;
    }
    event([&](tick now) {
      const auto i = place_of(host);
      if (i == no_host) return;
      at = i;
      auto& n = nodes_[i];
      if (told.view && n.budget) bounds = counted(i, *told.view, now);
      n.error.swap(error);
      if (told.good) {
        const bool elsewhere = !n.address.empty() && !address.empty() && address != n.address;
        if (!address.empty()) n.address.swap(address);
        if (moved || elsewhere) {
          for (place<Pool>* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) p->moved = true;
          core_.moved(i, now);
        }
        core_.answered(i, told.said, now);
      } else {
        if (told.why == probe_failure::full && n.budget) n.budget->full(core_.at(i).in_use);
        core_.failed(i, told.why, now);
      }
    });
    if (bounds) bounds_changed(at);
  }
  /// The coroutine ends: a probe that was ordered will not be made.
  void nothing_asked(std::uint64_t host) noexcept {
    event([&](tick now) {
      const auto i = place_of(host);
      if (i != no_host && core_.at(i).in_flight && core_.at(i).leaving) core_.failed(i, probe_failure::lost, now);
    });
  }
  /// Also of one that was removed, while anything of it is left.
  std::size_t place_of(std::uint64_t host) const noexcept {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].tenure == host) return i;
    }
    return no_host;
  }

  bool started_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
