// tidepool - makes PostgreSQL connections for a pool.
#ifndef TIDEPOOL_POSTGRES_CONNECTOR_HPP
#define TIDEPOOL_POSTGRES_CONNECTOR_HPP

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "../config.hpp"
#include "connection.hpp"

namespace tidepool::postgres {

/// A pool's connector: `postgres::pool pool(executor, postgres::connector("host=db dbname=shop"), config)`. Copies share the
/// options, which no longer change, and the memory of servers that failed lately. Thread safe.
///
/// The pool bounds an attempt by `connect_timeout`; give `options::address_timeout` less than that where there are several
/// servers, or one silent server takes it all.
class connector {
 public:
  connector(options settings) : settings_(std::make_shared<const options>(std::move(settings))) {}
  /// The same, with what a pool's configuration says of it: the deadlines of all servers together fit into `connect_timeout`,
  /// the goodbye into `close_timeout`, and the server sees the pool's name as `application_name` unless there is one.
  connector(options settings, const pool_config& config) : connector(adapted(std::move(settings), config)) {}
  connector(const char* conninfo) : connector(options(conninfo)) {}
  connector(const std::string& conninfo) : connector(options(conninfo)) {}

  /// Called by the pool. The connection's socket lives on the pool's executor.
  template <class Context>
  asio::awaitable<connection> operator()(const Context& context) const {
    return connection::connect(context.executor(), settings_, bad_);
  }
  const options& settings() const noexcept { return *settings_; }

 private:
  static options adapted(options settings, const pool_config& config) {
    const auto servers = static_cast<duration::rep>(settings.endpoints().size());
    settings.address_timeout = std::min(settings.address_timeout, config.connect_timeout / servers);
    settings.close_timeout = std::min(settings.close_timeout, config.close_timeout);
    if (settings.get("application_name").empty()) settings.set("fallback_application_name", config.name.view());
    return settings;
  }

  std::shared_ptr<const options> settings_;
  std::shared_ptr<detail::bad_hosts> bad_ = std::make_shared<detail::bad_hosts>();
};

}  // namespace tidepool::postgres

#endif
