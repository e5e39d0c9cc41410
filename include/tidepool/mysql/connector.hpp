// SPDX-License-Identifier: BSL-1.0
// tidepool - makes MySQL connections for a pool.
#ifndef TIDEPOOL_MYSQL_CONNECTOR_HPP
#define TIDEPOOL_MYSQL_CONNECTOR_HPP

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../config.hpp"
#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "connection.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// A pool's connector: `mysql::pool pool(executor, mysql::connector("mysql://app@db/shop"), config)`. Copies share the options, which
/// no longer change, and the memory of failed addresses. Thread safe.
/// The pool bounds an attempt by `connect_timeout`. The connector divides what is left of that among the servers and addresses that are
/// left, each at most `options::address_timeout`, so that a silent one does not take it all. Of `response_timeout` and `close_timeout` in
/// the options and in the pool's configuration the shorter ones count. Errors: `error(errc::bad_options)`, at construction.
class connector {
 public:
  TIDEPOOL_LAZY connector(options settings);
  /// The same, with the limits of a pool's configuration for connections that are made without that pool.
  TIDEPOOL_LAZY connector(options settings, const pool_config& config);
  /// A null pointer, which `getenv` returns for an unset variable, is an empty URL, here as for `options`.
  TIDEPOOL_LAZY connector(const char* url);
  TIDEPOOL_LAZY connector(const std::string& url);

  /// Called by the pool. The connection's socket uses the pool's executor.
  template <class Context>
  asio::awaitable<connection> operator()(const Context& context) const {
    bounds limits;
    if constexpr (requires { context.limits().response_timeout; }) {
      limits.response = context.limits().response_timeout;
      limits.close = context.limits().close_timeout;
    }
    if constexpr (requires { context.deadline(); }) {
      using pool_clock = typename decltype(context.deadline())::clock;
      if (context.deadline() != pool_clock::time_point::max()) {
        limits.left = std::chrono::duration_cast<duration>(context.deadline() - pool_clock::now());
      }
    }
    return connect(context.executor(), limits);
  }
  const options& settings() const noexcept { return *settings_; }

 private:
  /// What the pool allows one connect and its connection.
  struct bounds {
    duration response = no_limit;
    duration close = no_limit;
    duration left = no_limit;
  };
  TIDEPOOL_LAZY asio::awaitable<connection> connect(asio::any_io_executor executor, const bounds& limits) const;
  TIDEPOOL_LAZY static options adapted(options settings, const pool_config& config);

  std::shared_ptr<const options> settings_;
  std::shared_ptr<detail::address_memory> memory_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/connector.ipp"
#endif

#endif
