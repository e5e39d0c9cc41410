// SPDX-License-Identifier: BSL-1.0
// tidepool - makes SQLite connections for a pool.
#ifndef TIDEPOOL_SQLITE_CONNECTOR_HPP
#define TIDEPOOL_SQLITE_CONNECTOR_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "../config.hpp"
#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "connection.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// A pool's connector: `sqlite::pool pool(executor, sqlite::connector("shop.db"), tidepool::pool_config::embedded())`. Copies share the
/// options, which no longer change, and the threads, of which there are never more than connections that work at once. Thread safe.
///
/// A pool of an in-memory or temporary database (`options::is_private()`) has exactly one connection, for ever: `check()` says what of the
/// configuration is otherwise, and where its connection is lost all the same, connecting again is a permanent failure, because the new
/// database would be empty. Errors: `error(errc::bad_options)`, at construction.
class connector {
 public:
  TIDEPOOL_LAZY connector(options settings);
  TIDEPOOL_LAZY connector(const char* path);
  TIDEPOOL_LAZY connector(const std::string& path);
  /// With threads that another connector has.
  TIDEPOOL_LAZY connector(options settings, const connector& other);

  /// Called by the pool.
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
    return connect(limits);
  }
  /// Called by a pool that is made: throws `error(errc::bad_options)` that says what of its configuration does not fit the database.
  TIDEPOOL_LAZY void check(const pool_config& config) const;

  const options& settings() const noexcept { return *settings_; }
  /// How many threads were started so far.
  TIDEPOOL_LAZY std::size_t threads() const noexcept;

 private:
  /// What the pool allows one connect and its connection.
  struct bounds {
    duration response = no_limit;
    duration close = no_limit;
    duration left = no_limit;
  };
  TIDEPOOL_LAZY asio::awaitable<connection> connect(const bounds& limits) const;

  std::shared_ptr<const options> settings_;
  std::shared_ptr<detail::workers> threads_;
  std::shared_ptr<std::atomic<bool>> opened_;  ///< an in-memory database was
};

/// The configuration for a pool of one in-memory or temporary database: one connection that is never replaced.
TIDEPOOL_LAZY pool_config memory_config();

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/connector.ipp"
#endif

#endif
