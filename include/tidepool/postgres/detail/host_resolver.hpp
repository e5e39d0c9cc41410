// SPDX-License-Identifier: BSL-1.0
// tidepool - the numeric addresses of a server.
#ifndef TIDEPOOL_POSTGRES_DETAIL_HOST_RESOLVER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_HOST_RESOLVER_HPP

#include <string>
#include <vector>

#include "../../detail/driver/host_resolver.hpp"
#include "../../version.hpp"
#include "../error.hpp"
#include "conninfo.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::host_resolver;
using tidepool::detail::driver::lookup;
using tidepool::detail::driver::most_lookups;

/// Numeric addresses of a server, in the order of `getaddrinfo`; one empty string for a local socket. Waits at most for `limit`.
template <class = void>
inline asio::awaitable<std::vector<std::string>> resolve(asio::any_io_executor executor, const endpoint& host, duration limit) {
  const auto& name = host.hostaddr.empty() ? host.host : host.hostaddr;
  error_code not_numeric;
  if (!host.local()) (void)asio::ip::make_address(name, not_numeric);
  if (not_numeric && !host.hostaddr.empty()) throw connect_error(errc::bad_options, "hostaddr is not a numeric address");
  if (!not_numeric) co_return std::vector<std::string>(1, host.local() ? std::string() : name);
  auto found = co_await tidepool::detail::driver::look_up(executor, name, limit);
  if (!found.done) throw connect_error(errc::connect_timeout, tidepool::detail::driver::lookup_failure(found, limit));
  if (!found.failure.empty()) throw connect_error(errc::connect_failed, tidepool::detail::driver::lookup_failure(found, limit));
  co_return std::move(found.addresses);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
