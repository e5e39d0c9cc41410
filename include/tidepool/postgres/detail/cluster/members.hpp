// SPDX-License-Identifier: BSL-1.0
// tidepool - which hosts a cluster has: those of its connection string, of a later one, or all addresses of their names.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_MEMBERS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_MEMBERS_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../../../version.hpp"
#include "../host_resolver.hpp"
#include "probing.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

template <class Pool>
class cluster_members : public host_watch<Pool> {
  using base = host_watch<Pool>;

 protected:
  using base::base;
  using base::core_, base::event, base::executor_, base::how_, base::mutex_, base::nodes_, base::number_;
  using member_ptr = std::shared_ptr<cluster_members>;

  /// Those that are named: others are removed, new ones are asked at once.
  void set_members(const options& settings, const std::vector<endpoint>& wanted) {
    const std::lock_guard one_at_a_time(changing_);
    std::vector<std::string> names;
    for (const auto& each : wanted) names.push_back(name_of(each));
    std::vector<std::uint64_t> gone;
    std::vector<std::size_t> fresh;
    std::vector<bool> kept(places());
    gone.reserve(kept.size());
    fresh.reserve(names.size());
    {
      const std::lock_guard lock(mutex_);
      if (this->stopped_) return;
      for (std::size_t k = 0; k < names.size(); ++k) {
        std::size_t i = 0;
        while (i < nodes_.size() && (kept[i] || core_.at(i).leaving || *nodes_[i].name != names[k])) ++i;
        if (i == nodes_.size()) {
          fresh.push_back(k);
        } else {
          kept[i] = true;
          nodes_[i].order = k;
        }
      }
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (!kept[i] && !core_.at(i).leaving) gone.push_back(nodes_[i].tenure);
      }
    }
    std::vector<node_parts> parts;
    for (const auto k : fresh) parts.push_back(parts_of(settings, wanted[k], k));
    {
      const std::lock_guard lock(mutex_);
      for (auto& each : parts) enter(each);
    }
    for (const auto each : gone) leave(each);
    if (!this->started()) return;
    for (const auto& each : parts) base::watch(self(), each.tenure);
    event([](tick) {});
  }
  /// By which the hosts are known from now on.
  void known_by(const options& settings) {
    auto known = std::make_shared<const options>(settings);
    const std::lock_guard lock(mutex_);
    settings_.swap(known);
    names_seen_ = false;
  }
  std::shared_ptr<const options> settings() const {
    const std::lock_guard lock(mutex_);
    return settings_;
  }
  /// Looks up the hosts' names again and again, where there are such.
  void start_lookups() {
    if (names_seen_.exchange(true)) return;
    const auto hosts = settings()->endpoints();
    const bool named = std::any_of(hosts.begin(), hosts.end(), [](const endpoint& each) { return is_name(each); });
    if ((named || how_.each_address) && !looks_up_.exchange(true)) asio::co_spawn(executor_, keep_looking_up(self()), asio::detached);
  }

 private:
  /// All of a host that is made without the lock.
  struct node_parts {
    std::uint64_t tenure = 0;
    std::size_t order = 0;
    shared_text name{};
    std::shared_ptr<const options> asked{};
    std::shared_ptr<host_door> door{};
    std::shared_ptr<Pool> db{};
  };
  member_ptr self() { return std::static_pointer_cast<cluster_members>(this->shared_from_this()); }

  node_parts parts_of(const options& settings, const endpoint& host, std::size_t order) {
    node_parts out;
    out.tenure = ++tenures_;
    out.order = order;
    out.name = std::make_shared<const std::string>(name_of(host));
    out.asked = std::make_shared<const options>(asked_by(settings, host, how_, number_));
    options with = settings_of(settings, host, how_, number_);
    const std::weak_ptr<cluster_members> weak = self();
    with.on_refused_write = [weak, tenure = out.tenure] {
      const auto alive = weak.lock();
      return alive && alive->refused_write(tenure);
    };
    out.door = std::make_shared<host_door>(std::move(with));
    auto connects = [door = out.door, weak, tenure = out.tenure](const typename Pool::connect_context& context) {
      return base::connect(door, context, weak, tenure);
    };
    out.db = std::make_shared<Pool>(executor_, std::move(connects), config_of(how_, *out.name, false));
    if (const auto [sink, least] = this->log(); sink) out.db->log_to(*sink, least);
    return out;
  }
  /// It does not change while hosts are being exchanged.
  std::size_t places() const {
    const std::lock_guard lock(mutex_);
    return nodes_.size();
  }
  /// With the lock held, and with an allocation: nobody but who exchanges hosts would hear of it.
  void enter(node_parts& of) {
    const auto now = present();
    const auto i = core_.add_host(now);
    if (i == nodes_.size()) {
      nodes_.emplace_back();
    } else {
      std::destroy_at(&nodes_[i]);
      std::construct_at(&nodes_[i]);
    }
    auto& n = nodes_[i];
    n.name = of.name;
    n.tenure = of.tenure;
    n.order = of.order;
    n.asked_by = of.asked;
    n.door = of.door;
    n.db = of.db;
    std::size_t bound = std::max(how_.primary.max_size, how_.replicas.max_size);
    if (how_.share_connections) {
      n.budget.emplace(bound, how_.share_part);
      n.bound = bound;
    }
    core_.set_room(i, how_.primary.max_size, how_.replicas.max_size, now);
  }

  void leave(std::uint64_t host) {
    std::shared_ptr<Pool> db;  // its idle connections are closed, and its leases work on
    std::shared_ptr<wake_event> wakes;
    const auto remove = [&](tick now) noexcept {
      const auto i = this->index_of(host);
      if (i == no_host) return;
      core_.remove_host(i, now);
      db = std::move(nodes_[i].db);
      wakes = nodes_[i].wakes;
    };
    if (this->started()) {
      event(remove);
    } else {
      const std::lock_guard lock(mutex_);
      remove(present());
    }
    if (wakes) wakes->set();
  }

  // --- names ------------------------------------------------------------------------------------------------------------

  static bool is_name(const endpoint& host) {
    if (host.local() || !host.hostaddr.empty()) return false;
    error_code not_numeric;
    (void)asio::ip::make_address(host.host, not_numeric);
    return static_cast<bool>(not_numeric);
  }
  static asio::awaitable<void> keep_looking_up(member_ptr self) {
    real_timer timer(co_await asio::this_coro::executor);
    const auto wakes = self->names_wake_;
    while (self->started()) {
      const auto settings = self->settings();
      const auto hosts = settings->endpoints();
      std::vector<endpoint> all;
      bool whole = true;
      for (const auto& host : hosts) {
        if (!is_name(host)) {
          all.push_back(host);
          continue;
        }
        std::vector<std::string> found;
        try {
          auto work = resolve(asio::any_io_executor(self->executor_), host, self->how_.lookup_interval);
          found = co_await std::move(work);
        } catch (const std::exception&) {  // what was known before stays
          whole = false;
          continue;
        }
        if (!self->how_.each_address) self->named(name_of(host), found);
        std::sort(found.begin(), found.end());
        for (const auto& address : found) all.push_back({host.host, address, host.port});
      }
      if (self->how_.each_address && whole) self->set_members(*settings, all);
      timer.expires_after(self->how_.lookup_interval);
      timer.async_wait([weak = std::weak_ptr<wake_event>(wakes)](error_code failed) {
        const auto alive = weak.lock();
        if (!failed && alive) alive->set();
      });
      const auto opens = wakes->next();
      co_await wake_event::gate::wait(opens);
      wakes->reset();
    }
  }
  /// A probe that is connected to an address which its name has no more connects again.
  void named(const std::string& host, const std::vector<std::string>& addresses) noexcept {
    event([&](tick now) {
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        auto& n = nodes_[i];
        if (*n.name != host || core_.at(i).leaving || n.address.empty()) continue;
        if (std::find(addresses.begin(), addresses.end(), n.address) != addresses.end()) continue;
        n.named_anew = true;
        core_.doubt(i, now);
      }
    });
  }

  std::recursive_mutex changing_;  ///< an observer may exchange hosts as well
  std::uint64_t tenures_ = 0;
  std::shared_ptr<const options> settings_;
  std::atomic<bool> names_seen_{false};  ///< of the settings
  std::atomic<bool> looks_up_{false};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
