// SPDX-License-Identifier: BSL-1.0
// tidepool - connectors: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_CONNECTOR_IPP
#define TIDEPOOL_SQLITE_IMPL_CONNECTOR_IPP

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "../../config.hpp"
#include "../../version.hpp"
#include "../connector.hpp"
#include "../detail/session.hpp"
#include "../detail/workers.hpp"
#include "connection.ipp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

namespace detail {

/// Of a database that is gone with its connection; one that was never there may be opened again.
template <class = void>
inline asio::awaitable<connection> connect_once(std::shared_ptr<const options> settings, std::shared_ptr<workers> threads,
                                                steady::time_point until, std::shared_ptr<std::atomic<bool>> opened) {
  std::exception_ptr failure;
  try {
    co_return co_await connect_session(std::move(settings), std::move(threads), until);
  } catch (...) {
    failure = std::current_exception();
  }
  opened->store(false);
  std::rethrow_exception(failure);
}

}  // namespace detail

TIDEPOOL_LAZY_BODY connector::connector(options settings) : settings_(std::make_shared<const options>(std::move(settings))) {
  settings_->check();
  threads_ = std::make_shared<detail::workers>(settings_->threads, settings_->look_time);
  if (settings_->is_private()) opened_ = std::make_shared<std::atomic<bool>>(false);
}
TIDEPOOL_LAZY_BODY connector::connector(const char* path) : connector(options(path)) {}
TIDEPOOL_LAZY_BODY connector::connector(const std::string& path) : connector(options(path)) {}
TIDEPOOL_LAZY_BODY connector::connector(options settings, const connector& other) : connector(std::move(settings)) {
  threads_ = other.threads_;
}

TIDEPOOL_LAZY_BODY void connector::check(const pool_config& config) const {
  std::string wrong;
  const auto must = [&wrong](bool holds, const char* rule) {
    if (!holds) wrong += (wrong.empty() ? "" : ", ") + std::string(rule);
  };
  if (settings_->is_private()) {
    must(config.max_size == 1, "max_size must be 1");
    must(config.min_size == 1, "min_size must be 1");
    must(config.max_lifetime == no_limit, "max_lifetime must be tidepool::no_limit");
    must(config.idle_timeout == no_limit, "idle_timeout must be tidepool::no_limit");
    must(config.max_uses == no_limit, "max_uses must be tidepool::no_limit");
    if (!wrong.empty()) {
      throw error(errc::bad_options, "the pool of " + settings_->summary() +
                                         ", a database of one connection that is gone with it: " + wrong +
                                         "; sqlite::memory_config() is such a configuration, and file:/name?vfs=memdb is a database in "
                                         "memory for several connections");
    }
  } else if (settings_->is_shared_memory()) {
    must(config.min_size >= 1, "min_size must be 1 or more, because the database is gone with its last connection");
    if (!wrong.empty()) throw error(errc::bad_options, "the pool of " + settings_->summary() + ", a database in memory: " + wrong);
  }
}

TIDEPOOL_LAZY_BODY asio::awaitable<connection> connector::connect(const bounds& limits) const {
  if (opened_ && opened_->exchange(true)) {
    throw connect_error(errc::connect_failed,
                        "the connection to " + settings_->summary() + " was lost, and its database with it: a new one would be empty", {},
                        failure_kind::permanent);
  }
  auto settings = settings_;
  const auto response = std::min(settings->response_timeout, limits.response);
  const auto close = std::min(settings->close_timeout, limits.close);
  if (response != settings->response_timeout || close != settings->close_timeout) {
    const auto limited = std::make_shared<options>(*settings);
    limited->response_timeout = response;
    limited->close_timeout = close;
    settings = limited;
  }
  // A little before the pool's own timeout, whose error would only say that the time is over.
  auto until = detail::steady::time_point::max();
  if (limits.left != no_limit) {
    until = detail::later(detail::real_now(), limits.left - std::min<duration>(limits.left / 16, std::chrono::milliseconds(100)));
  }
  if (opened_) return detail::connect_once(std::move(settings), threads_, until, opened_);
  return connection::connect(std::move(settings), threads_, until);
}
TIDEPOOL_LAZY_BODY std::size_t connector::threads() const noexcept { return threads_->threads(); }

TIDEPOOL_LAZY_BODY pool_config memory_config() {
  auto config = pool_config::embedded();
  config.min_size = 1;
  config.max_size = 1;
  config.idle_timeout = no_limit;
  config.max_lifetime = no_limit;
  config.max_uses = no_limit;
  return config;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
