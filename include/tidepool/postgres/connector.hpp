// SPDX-License-Identifier: BSL-1.0
// tidepool - makes PostgreSQL connections for a pool.
#ifndef TIDEPOOL_POSTGRES_CONNECTOR_HPP
#define TIDEPOOL_POSTGRES_CONNECTOR_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../config.hpp"
#include "../version.hpp"
#include "connection.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// A pool's connector: `postgres::pool pool(executor, postgres::connector("host=db dbname=shop"), config)`. Copies share the options, which
/// no longer change, and the memory of failed addresses. Thread safe.
/// The pool bounds an attempt by `connect_timeout`. The connector divides what is left of that among the servers and addresses that are
/// left, each at most `options::address_timeout`, so that a silent one does not take it all. The pool's name is the `application_name` on
/// the server, unless the options or `PGAPPNAME` name another. Of `response_timeout` and `close_timeout` in the options and in the pool's
/// configuration the shorter ones count. Errors: `error(errc::bad_options)`, at construction.
class connector {
 public:
  connector(options settings) : settings_(std::make_shared<const options>(std::move(settings))) { settings_->check(); }
  /// The same, with name and limits of a pool's configuration for connections that are made without that pool.
  connector(options settings, const pool_config& config) : connector(adapted(std::move(settings), config)) {}
  /// A null pointer, which `getenv` returns for an unset variable, is an empty string, here as for `options`.
  connector(const char* conninfo) : connector(options(conninfo)) {}
  connector(const std::string& conninfo) : connector(options(conninfo)) {}

  /// Called by the pool. The connection's socket uses the pool's executor.
  template <class Context>
  asio::awaitable<connection> operator()(const Context& context) const {
    return connection::connect(context.executor(), limited_by(context), memory_, end_of(context), name_in(context));
  }
  const options& settings() const noexcept { return *settings_; }

 private:
  static options adapted(options settings, const pool_config& config) {
    settings.close_timeout = std::min(settings.close_timeout, config.close_timeout);
    settings.response_timeout = std::min(settings.response_timeout, config.response_timeout);
    if (settings.get("fallback_application_name").empty()) settings.set("fallback_application_name", own_name(config.name.view()));
    return settings;
  }

  template <class Context>
  std::shared_ptr<const options> limited_by(const Context& context) const {
    if constexpr (requires { context.limits().response_timeout; }) {
      const auto response = std::min(settings_->response_timeout, context.limits().response_timeout);
      const auto close = std::min(settings_->close_timeout, context.limits().close_timeout);
      if (response != settings_->response_timeout || close != settings_->close_timeout) {
        const auto limited = std::make_shared<options>(*settings_);
        limited->response_timeout = response;
        limited->close_timeout = close;
        return limited;
      }
    }
    return settings_;
  }
  /// Empty for a pool without a name of its own: the default "pool" tells an operator nothing.
  static std::string_view own_name(std::string_view name) { return name == pool_config().name.view() ? std::string_view() : name; }
  template <class Context>
  static std::string_view name_in(const Context& context) {
    if constexpr (requires { context.pool_name(); }) {
      return own_name(context.pool_name());
    } else {
      return {};
    }
  }

  /// A little before the pool's own timeout, whose error would only say that the time is over. In real time, whichever clock the pool uses.
  template <class Context>
  static detail::clock::time_point end_of(const Context& context) {
    if constexpr (requires { context.deadline(); }) {
      using pool_clock = typename decltype(context.deadline())::clock;
      if (context.deadline() == pool_clock::time_point::max()) return detail::clock::time_point::max();
      const auto rest = std::chrono::duration_cast<duration>(context.deadline() - pool_clock::now());
      return detail::deadline_of(rest - std::min<duration>(rest / 16, std::chrono::milliseconds(100)));
    } else {
      return detail::clock::time_point::max();
    }
  }

  std::shared_ptr<const options> settings_;
  std::shared_ptr<detail::address_memory> memory_ = std::make_shared<detail::address_memory>();
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
