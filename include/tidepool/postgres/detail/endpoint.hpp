// SPDX-License-Identifier: BSL-1.0
// tidepool - one server of the connection options.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ENDPOINT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ENDPOINT_HPP

#include <string>

#include "../../version.hpp"
#include "text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// One server as the options name it; libpq's default socket when all is empty.
struct endpoint {
  std::string host, hostaddr, port;
  /// A local socket: a path, or '@' for the abstract namespace. No name to look up.
  bool local() const { return hostaddr.empty() && (host.empty() || host[0] == '/' || host[0] == '@'); }
  template <class = void>
  std::string text() const {
    const auto& shown = host.empty() ? hostaddr : host;
    std::string out = printable(shown.empty() ? "local socket" : shown, 80);
    if (!port.empty()) out.append(":").append(printable(port, 8));
    return out;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
