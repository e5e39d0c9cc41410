// tidepool - makes PostgreSQL connections for a pool.
#ifndef TIDEPOOL_POSTGRES_CONNECTOR_HPP
#define TIDEPOOL_POSTGRES_CONNECTOR_HPP

#include <memory>
#include <utility>

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
  connector(const char* conninfo) : connector(options(conninfo)) {}
  connector(const std::string& conninfo) : connector(options(conninfo)) {}

  /// Called by the pool. The connection's socket lives on the pool's executor.
  template <class Context>
  asio::awaitable<connection> operator()(const Context& context) const {
    return connection::connect(context.executor(), settings_, bad_);
  }
  const options& settings() const noexcept { return *settings_; }

 private:
  std::shared_ptr<const options> settings_;
  std::shared_ptr<detail::bad_hosts> bad_ = std::make_shared<detail::bad_hosts>();
};

}  // namespace tidepool::postgres

#endif
