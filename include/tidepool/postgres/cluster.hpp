// SPDX-License-Identifier: BSL-1.0
// tidepool - a primary and its replicas: writes go to the one, reads to the others, by proof.
#ifndef TIDEPOOL_POSTGRES_CLUSTER_HPP
#define TIDEPOOL_POSTGRES_CLUSTER_HPP

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../detail/util/lazy.hpp"
#include "../run.hpp"
#include "../source_location.hpp"
#include "../version.hpp"
#include "cluster_error.hpp"
#include "cluster_lease.hpp"
#include "cluster_options.hpp"
#include "pool.hpp"
#include "read_options.hpp"
#include "topology.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail::fleet {
template <class>
class basic_cluster_shell;
template <class>
class cluster_lanes;
}

/// A primary and its replicas, with an ordinary pool for each host:
///
///     postgres::cluster db(io, "host=a,b,c dbname=shop", {.primary = config});
///     auto lease = co_await db.primary();                       // was writable when it was granted
///     co_await lease->exec("insert into orders ...");
///     const auto mine = co_await db.position(lease);
///     auto other = co_await db.replica({.max_lag = 500ms, .not_before = mine});  // has replayed that insert
///
/// Each host is asked once a second, by one query on a connection of its own, what it is. Leases for writes come from the primary of the
/// highest timeline that any of the hosts was seen on, and only while it alone says so; where it loses that place, its idle connections are
/// closed at once, and its leases are shut after `abort_grace`. A host that does not answer hands nothing out: statements of its leases are
/// cancelled, and shut after the grace. While there is no primary callers wait, and the probe that finds one wakes them: no connects are
/// made for them, and no breaker opens.
///
/// Reads go to the less loaded of two random replicas within the bound. The lag is an upper bound, by the primary's log and clock, and has
/// the age of the probe added: a replica's own word is never enough. A promotion is known when a probe has shown it, at most
/// `hurried_interval` after it while there is no primary, and `probe_interval` after it where the old primary goes on answering: only
/// fencing (as Patroni does) keeps that one from taking writes meanwhile.
///
/// Thread safe, as pools are. Awaitables complete on their coroutine's executor. Destroying it is safe at any time, as with a pool.
/// Cost of a lease besides its pool's: the cluster's lock for a moment, some eight times, and a few allocations.
class cluster {
 public:
  using lease = cluster_lease;  ///< what `primary()` and `replica()` return
  using pool_type = pool;       ///< of a host
  using traits_type = pool::traits_type;
  using executor_type = pool::executor_type;
  using observer = std::function<void(const cluster_event&)>;  ///< is told of changes, on the cluster's executor or a caller's thread
  /// For coroutines that use it.
  template <class T>
  using awaitable = asio::awaitable<T>;

  /// `settings` names the hosts; `target_session_attrs` and `load_balance_hosts` in it have no effect. Nothing is opened yet. Throws
  /// `error(errc::bad_options)`, and std::invalid_argument that names what is wrong with `how`.
  TIDEPOOL_LAZY cluster(asio::any_io_executor executor, options settings, const cluster_options& how = {}, observer watcher = {});
  /// The same with an execution context.
  template <class Context>
  requires requires(Context& c) { asio::any_io_executor(c.get_executor()); }
  cluster(Context& context, options settings, const cluster_options& how = {}, observer watcher = {})
      : cluster(asio::any_io_executor(context.get_executor()), std::move(settings), how, std::move(watcher)) {}
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;
  ~cluster() { shell_->shut_down(); }

  /// Starts the probes, and waits until there is a primary and a connection to it, for `primary.acquire_timeout` or
  /// `primary.connect_timeout`, whichever is longer; a server that is full or starts is waited for. Then it closes the cluster and throws
  /// cluster_error. With `start_mode::lazy` it returns at once. The first `primary()` or `replica()` starts the probes as well.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> open(source_location where = source_location::current());

  /// A lease of the primary, first come, first served. Waits for `primary.acquire_timeout`. Throws cluster_error. Cancellation (any type)
  /// ends the wait; no connection is lost.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> primary(source_location where = source_location::current());
  /// The same with a timeout of its own, for all of it.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> primary(time_limit timeout,
                                                                                    source_location where = source_location::current());
  /// A lease of a replica within a bound, or what `fallback` says. Errors and cancellation as above.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> replica(read_options how = read_options(),
                                                                                    source_location where = source_location::current());
  /// Where the log of the lease's server ends now, for `read_options::not_before`: all that was committed there is before that. One round
  /// trip. The lease has to live until it is done. Errors: those of a statement.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<log_position> position(const lease& of);

  /// Stops probing, fails those who wait with `errc::closed`, and closes the pools of all hosts, each as `pool::close()` does.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(time_limit grace,
                                                                                 source_location where = source_location::current());
  /// The same with `primary.close_grace`.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(source_location where = source_location::current());

  /// From now on the cluster has the hosts that `settings` names; for programs that find their servers in another way than by names. Those
  /// that are there already stay as they are; new ones are connected to with `settings`, and asked at once. Removed ones get no more
  /// callers; their idle connections are closed now, and their leases work on for up to `primary.close_grace`, those for writes for
  /// `abort_grace`. The timeline of a removed host bars lower ones for a minute more: an old primary may come back. Any thread. Throws
  /// `error(errc::bad_options)`, also with `each_address`.
  TIDEPOOL_LAZY void set_hosts(const options& settings);
  /// All hosts as they are known at this moment. Takes the lock once.
  TIDEPOOL_LAZY cluster_topology topology() const;
  /// Of the pool of each host, in the order of the connection string; their names hold the host.
  TIDEPOOL_LAZY std::vector<pool_stats> stats() const;
  /// As `pool::log_to()` for the pools of all hosts; a line for each change of a host's state, too.
  TIDEPOOL_LAZY void log_to(const log_sink& out, log_level least = log_level::info);
  /// `cluster_options::primary`.
  TIDEPOOL_LAZY const pool_config& config() const noexcept;
  TIDEPOOL_LAZY executor_type get_executor() const;

 private:
  friend detail::fleet::cluster_lanes<cluster>;
  using shell_type = detail::fleet::basic_cluster_shell<pool>;
  TIDEPOOL_LAZY std::shared_ptr<shell_type> shell() const;
  TIDEPOOL_LAZY static std::shared_ptr<detail::fleet::cluster_base<pool>> make(asio::any_io_executor executor, options settings,
                                                                               const cluster_options& how, observer watcher);

  TIDEPOOL_LAZY static asio::awaitable<lease> lane(std::shared_ptr<detail::fleet::cluster_base<pool>> from, bool writes, read_options how);

  std::shared_ptr<detail::fleet::cluster_base<pool>> shell_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// `run()` with a cluster instead of a pool: opens it, runs the work, and closes it on every path.
///
///     tidepool::run(io, db, serve);  // asio::awaitable<void> serve(postgres::cluster&)
template <class Work>
auto run(asio::io_context& io, postgres::cluster& db, Work&& work, detail::call_place where = source_location::current()) {
  return detail::run_on(io, db, std::forward<Work>(work), where.at);
}
/// The same with signals, a grace, and more than one thread.
template <class Work>
auto run(asio::io_context& io, postgres::cluster& db, Work&& work, run_options options,
         source_location where = source_location::current()) {
  return detail::run_on(io, db, std::forward<Work>(work), options, where);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/cluster.ipp"
#endif

#endif
