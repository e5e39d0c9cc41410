// SPDX-License-Identifier: BSL-1.0
// tidepool - a time limit for one call.
#ifndef TIDEPOOL_SQLITE_WITHIN_HPP
#define TIDEPOOL_SQLITE_WITHIN_HPP

#include "../time.hpp"
#include "../version.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// First argument of a call: how long it may take, `co_await c.exec(sqlite::within(200ms), "select ...")`. It counts from the call, and
/// bounds the wait for a lock as well. For a stream it bounds each chunk of rows. The shorter of this and `options::response_timeout`
/// counts.
///
/// When the time is up the statement is interrupted, and the call throws `errc::response_timeout`; the connection is kept. A statement that
/// writes within a transaction takes the whole transaction with it when it is interrupted. Must be above zero, else `errc::bad_parameter`;
/// `no_limit` bounds nothing.
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
