// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster as a whole: its beginning, its end, and what callers ask of it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SHELL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SHELL_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../../../detail/shell/context_watch.hpp"
#include "../../../version.hpp"
#include "../../error.hpp"
#include "members.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

template <class Pool>
class basic_cluster_shell final : public cluster_members<Pool>, public tidepool::detail::context_client {
  using base = cluster_members<Pool>;

 public:
  using shell_ptr = std::shared_ptr<basic_cluster_shell>;
  using typename base::executor_type;
  using typename base::lease_type;
  using typename base::observer;

  basic_cluster_shell(executor_type executor, const options& settings, const cluster_options& how, observer watcher)
      : base(std::move(executor), how, std::move(watcher)) {
    this->known_by(settings);
  }
  ~basic_cluster_shell() override {
    if (watch_ != nullptr) watch_->remove(*this);
  }
  /// Second half of construction: needs the shared pointer.
  void attach() {
    const auto settings = this->settings();
    if (!how_.each_address) this->set_members(*settings, settings->endpoints());
    (void)asio::make_strand(executor_);  // see pool_impl::attach()
    auto& watch = asio::use_service<tidepool::detail::context_watch>(asio::query(executor_, asio::execution::context));
    watch.add(*this, weak_self());
    watch_ = &watch;
  }

  // --- for callers ------------------------------------------------------------------------------------------------------

  void set_hosts(const options& settings) {
    if (how_.each_address) throw error(errc::bad_options, "set_hosts(): with each_address the hosts are the addresses of the names");
    this->known_by(settings);
    this->set_members(settings, settings.endpoints());
    if (this->started()) this->start_lookups();
  }
  static asio::awaitable<void> open(shell_ptr self, source_location where) {
    const auto& config = self->how_.primary;
    self->begin();
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
    self->begin();
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
    for (std::size_t i = 0;; ++i) {
      std::shared_ptr<Pool> db;  // is destroyed without the lock
      const std::lock_guard lock(mutex_);
      if (i == nodes_.size()) break;
      db = std::move(nodes_[i].db);
    }
    this->forget_listeners();
  }
  /// The context is being destroyed, and every coroutine on it.
  void context_shutdown() noexcept override {
    watch_ = nullptr;
    this->stop();
    wake_chain all;
    this->add_waiting(all);
    this->add_wakes(all);
    while (const auto each = all.take()) each->destroy_waiter();
    executor_ = executor_type();
  }

 private:
  using base::executor_, base::how_, base::mutex_, base::nodes_;

  std::weak_ptr<basic_cluster_shell> weak_self() { return std::static_pointer_cast<basic_cluster_shell>(this->shared_from_this()); }

  void begin() {
    this->start();
    this->start_lookups();
  }

  tidepool::detail::context_watch* watch_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
