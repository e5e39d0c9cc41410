// SPDX-License-Identifier: BSL-1.0
// tidepool - one address of one server.
#ifndef TIDEPOOL_MYSQL_DETAIL_TARGET_HPP
#define TIDEPOOL_MYSQL_DETAIL_TARGET_HPP

#include <string>

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"
#include "../options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

struct target {
  endpoint host{};
  std::string address{};  ///< numeric; empty for a local socket

  /// "10.0.0.7:3306 (db1)".
  template <class = void>
  std::string text() const {
    if (address.empty()) return host.text();
    const bool v6 = address.find(':') != std::string::npos;
    std::string out = (v6 ? "[" + address + "]" : address) + ":" + std::to_string(host.port);
    if (host.host != address) out += " (" + tidepool::detail::printable(host.host, 80) + ")";
    return out;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
