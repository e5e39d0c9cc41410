// SPDX-License-Identifier: BSL-1.0
// tidepool - clusters: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_CLUSTER_IPP
#define TIDEPOOL_POSTGRES_IMPL_CLUSTER_IPP

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../cluster.hpp"
#include "../detail/cluster/shell.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY std::string cluster_options::faults() const {
  std::string out;
  const auto add = [&out](const std::string& what) { out += (out.empty() ? "" : "; ") + what; };
  for (const auto& fault : primary.validate()) add("primary." + fault.text());
  for (const auto& fault : replicas.validate()) add("replicas." + fault.text());
  const auto finite = [&](duration value, const char* name) {
    if (value <= duration::zero() || value > std::chrono::hours(24 * 365))
      add(std::string(name) + " has to be above zero, and a year at most");
  };
  finite(probe_interval, "probe_interval");
  finite(hurried_interval, "hurried_interval");
  finite(probe_timeout, "probe_timeout");
  finite(abort_grace, "abort_grace");
  finite(lagging_after, "lagging_after");
  finite(lookup_interval, "lookup_interval");
  if (!(share_part > 0 && share_part <= 1)) add("share_part has to be above zero, and 1 at most");
  return out;
}

TIDEPOOL_LAZY_BODY cluster::cluster(asio::any_io_executor executor, options settings, const cluster_options& how, observer watcher)
    : shell_(make(std::move(executor), std::move(settings), how, std::move(watcher))) {}

TIDEPOOL_LAZY_BODY std::shared_ptr<detail::fleet::cluster_base<pool>> cluster::make(asio::any_io_executor executor, options settings,
                                                                                    const cluster_options& how, observer watcher) {
  const auto faults = how.faults();
  if (!faults.empty()) throw std::invalid_argument("cluster_options: " + faults);
  settings.check();
  auto made = std::make_shared<shell_type>(std::move(executor), settings, how, std::move(watcher));
  made->attach();
  return made;
}
TIDEPOOL_LAZY_BODY std::shared_ptr<cluster::shell_type> cluster::shell() const { return std::static_pointer_cast<shell_type>(shell_); }

TIDEPOOL_LAZY_BODY asio::awaitable<void> cluster::open(source_location where) { return shell_type::open(shell(), where); }
TIDEPOOL_LAZY_BODY asio::awaitable<cluster_lease> cluster::primary(source_location where) {
  return shell_type::acquire(shell(), true, read_options(), config().acquire_timeout, where);
}
TIDEPOOL_LAZY_BODY asio::awaitable<cluster_lease> cluster::primary(time_limit timeout, source_location where) {
  return shell_type::acquire(shell(), true, read_options(), timeout, where);
}
TIDEPOOL_LAZY_BODY asio::awaitable<cluster_lease> cluster::replica(read_options how, source_location where) {
  const auto limit = how.timeout > duration::zero() ? how.timeout : config().acquire_timeout;
  return shell_type::acquire(shell(), false, how, limit, where);
}
TIDEPOOL_LAZY_BODY asio::awaitable<cluster_lease> cluster::lane(std::shared_ptr<detail::fleet::cluster_base<pool>> from, bool writes,
                                                                read_options how) {
  const auto limit = from->options_of().primary.acquire_timeout;
  return shell_type::acquire(std::static_pointer_cast<shell_type>(std::move(from)), writes, how, limit, source_location::current());
}
TIDEPOOL_LAZY_BODY asio::awaitable<log_position> cluster::position(const lease& of) { return shell_type::position(*of); }
TIDEPOOL_LAZY_BODY asio::awaitable<void> cluster::close(time_limit grace, source_location where) {
  return shell_type::close(shell(), grace, where);
}
TIDEPOOL_LAZY_BODY asio::awaitable<void> cluster::close(source_location where) {
  return shell_type::close(shell(), config().close_grace, where);
}
TIDEPOOL_LAZY_BODY void cluster::set_hosts(const options& settings) {
  settings.check();
  shell()->set_hosts(settings);
}
TIDEPOOL_LAZY_BODY cluster_topology cluster::topology() const { return shell()->topology(); }
TIDEPOOL_LAZY_BODY std::vector<pool_stats> cluster::stats() const { return shell()->stats(); }
TIDEPOOL_LAZY_BODY void cluster::log_to(const log_sink& out, log_level least) { shell()->log_to(out, least); }
TIDEPOOL_LAZY_BODY const pool_config& cluster::config() const noexcept { return shell_->options_of().primary; }
TIDEPOOL_LAZY_BODY cluster::executor_type cluster::get_executor() const { return shell()->executor(); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
