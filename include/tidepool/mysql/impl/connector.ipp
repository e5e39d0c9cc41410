// SPDX-License-Identifier: BSL-1.0
// tidepool - connectors: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_CONNECTOR_IPP
#define TIDEPOOL_MYSQL_IMPL_CONNECTOR_IPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../config.hpp"
#include "../../version.hpp"
#include "../connector.hpp"
#include "../detail/driver_parts.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

TIDEPOOL_LAZY_BODY connector::connector(options settings)
    : settings_(std::make_shared<const options>(std::move(settings))), memory_(std::make_shared<detail::address_memory>()) {
  settings_->check();
}
TIDEPOOL_LAZY_BODY connector::connector(options settings, const pool_config& config) : connector(adapted(std::move(settings), config)) {}
TIDEPOOL_LAZY_BODY connector::connector(const char* url) : connector(options(url)) {}
TIDEPOOL_LAZY_BODY connector::connector(const std::string& url) : connector(options(url)) {}

TIDEPOOL_LAZY_BODY options connector::adapted(options settings, const pool_config& config) {
  settings.close_timeout = std::min(settings.close_timeout, config.close_timeout);
  settings.response_timeout = std::min(settings.response_timeout, config.response_timeout);
  return settings;
}

TIDEPOOL_LAZY_BODY asio::awaitable<connection> connector::connect(asio::any_io_executor executor, const bounds& limits) const {
  auto settings = settings_;
  const auto response = std::min(settings->response_timeout, limits.response);
  const auto close = std::min(settings->close_timeout, limits.close);
  if (response != settings->response_timeout || close != settings->close_timeout) {
    const auto limited = std::make_shared<options>(*settings);
    limited->response_timeout = response;
    limited->close_timeout = close;
    settings = limited;
  }
  // A little before the pool's own timeout, whose error would only say that the time is over. In real time, whichever clock the pool uses.
  auto until = detail::clock::time_point::max();
  if (limits.left != no_limit) {
    until = detail::later(detail::clock::now(), limits.left - std::min<duration>(limits.left / 16, std::chrono::milliseconds(100)));
  }
  return connection::connect(std::move(executor), std::move(settings), memory_, until);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
