// SPDX-License-Identifier: BSL-1.0
// tidepool - a time limit for one call.
#ifndef TIDEPOOL_MYSQL_WITHIN_HPP
#define TIDEPOOL_MYSQL_WITHIN_HPP

#include "../time.hpp"
#include "../version.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// First argument of a call: how long the server may take, `co_await c.exec(mysql::within(200ms), "select ...")`. For one statement it
/// bounds the whole; for a stream it bounds each wait for the server. The shorter of this and `options::response_timeout` counts.
///
/// When the time is up the statement is cancelled on the server (`KILL QUERY`), and the call throws `errc::response_timeout`; the
/// connection is kept. Where the server does not react to that within `options::cancel_timeout`, the connection is shut:
/// `errc::server_silent`. A result that comes in between is returned as usual. Must be above zero, else `errc::bad_parameter`; `no_limit`
/// bounds nothing.
class within {
 public:
  template <class = void>
  explicit constexpr within(duration limit) : limit_(limit) {
    if (limit <= duration::zero()) throw error(errc::bad_parameter, "the time limit of a call must be above zero");
  }
  constexpr duration limit() const noexcept { return limit_; }

 private:
  duration limit_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
