// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster as a whole: its beginning, its end, and what callers ask of it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SHELL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SHELL_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../../../detail/shell/context_watch.hpp"
#include "../../../version.hpp"
#include "probing.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

template <class Pool>
class basic_cluster_shell final : public host_watch<Pool>, public tidepool::detail::context_client {
  using base = host_watch<Pool>;

 public:
  using shell_ptr = std::shared_ptr<basic_cluster_shell>;
  using typename base::executor_type;
  using typename base::lease_type;
  using typename base::observer;

  basic_cluster_shell(executor_type executor, const options& settings, const cluster_options& how, observer watcher)
      : base(std::move(executor), settings.endpoints().size(), how, std::move(watcher)) {
    const auto endpoints = settings.endpoints();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      auto& n = nodes_[i];
      n.name = name_of(endpoints[i]);
      if (how.share_connections) {
        n.bound = std::max(how.primary.max_size, how.replicas.max_size);
        n.budget.emplace(n.bound, how.share_part);
      }
      n.asked_by = std::make_shared<const options>(asked_by(settings, endpoints[i], how, number_));
      core_.set_room(i, how.primary.max_size, how.replicas.max_size, present());
    }
  }
  ~basic_cluster_shell() override {
    if (watch_ != nullptr) watch_->remove(*this);
  }
  /// Second half of construction: needs the shared pointer.
  void attach(const options& settings) {
    const auto endpoints = settings.endpoints();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      options with = settings_of(settings, endpoints[i], how_, number_);
      with.on_refused_write = [weak = weak_self(), i] {
        const auto self = weak.lock();
        return self && self->refused_write(i);
      };
      const auto config = config_of(how_, nodes_[i].name, false);
      if (!how_.share_connections) {
        nodes_[i].db = std::make_shared<Pool>(executor_, connector(std::move(with)), config);
        continue;
      }
      auto watched = [inner = connector(std::move(with)), weak = weak_self(), i](const typename Pool::connect_context& context) {
        return base::connect(inner, context, weak, i);
      };
      nodes_[i].db = std::make_shared<Pool>(executor_, std::move(watched), config);
    }
    (void)asio::make_strand(executor_);  // see pool_impl::attach()
    auto& watch = asio::use_service<tidepool::detail::context_watch>(asio::query(executor_, asio::execution::context));
    watch.add(*this, weak_self());
    watch_ = &watch;
  }

  // --- for callers ------------------------------------------------------------------------------------------------------

  static asio::awaitable<void> open(shell_ptr self, source_location where) {
    const auto& config = self->how_.primary;
    self->start();
    if (config.start == start_mode::lazy) co_return;
    std::exception_ptr failure;
    try {
      const auto first = co_await acquire(self, true, read_options(), std::max(config.acquire_timeout, config.connect_timeout), where);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (tidepool::detail::is_cancellation(failure)) std::rethrow_exception(failure);
    co_await close(self, duration::zero(), where);
    std::rethrow_exception(failure);
  }
  static asio::awaitable<lease_type> acquire(shell_ptr self, bool writes, read_options wanted, duration limit, source_location where) {
    self->start();
    if (!writes) self->begin_to_read();
    return base::serve(std::move(self), writes, wanted, limit, where);
  }
  static asio::awaitable<void> close(shell_ptr self, duration grace, source_location where) {
    const auto until = later(clock::now(), grace);
    self->stop();
    for (const auto& db : self->pools()) {
      const bool bounded = until != clock::time_point::max();
      const duration left = bounded ? std::max<duration>(until - clock::now(), duration::zero()) : duration(no_limit);
      co_await db->close(left, where);
    }
  }

  static asio::awaitable<log_position> position(connection& of) {
    const auto lsn = co_await of.template one<std::string>(
        "select pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()"
        " else pg_catalog.pg_current_wal_insert_lsn() end, '0/0')::pg_catalog.text");
    log_position out;
    out.lsn = number_of<std::uint64_t>(lsn);
    co_return out;
  }

  /// The cluster object goes away. Leases keep this alive until the last one is back.
  void shut_down() noexcept override {
    this->stop();
    std::vector<std::shared_ptr<Pool>> pools;
    {
      const std::lock_guard lock(mutex_);
      for (auto& n : nodes_) pools.push_back(std::move(n.db));
    }
    this->forget_listeners();
  }
  /// The context is being destroyed, and every coroutine on it.
  void context_shutdown() noexcept override {
    watch_ = nullptr;
    this->stop();
    std::vector<std::shared_ptr<wake_event>> wake_events;
    this->add_waiting(wake_events);
    {
      const std::lock_guard lock(mutex_);
      for (auto& n : nodes_) wake_events.push_back(n.wakes);
      wake_events.push_back(clock_wakes_);
    }
    for (auto& each : wake_events) each->destroy_waiter();
    executor_ = executor_type();
  }

 private:
  using base::clock_wakes_, base::core_, base::executor_, base::how_, base::mutex_, base::nodes_, base::number_;

  std::weak_ptr<basic_cluster_shell> weak_self() { return std::static_pointer_cast<basic_cluster_shell>(this->shared_from_this()); }

  tidepool::detail::context_watch* watch_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
