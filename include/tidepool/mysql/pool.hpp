// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of MySQL connections.
#ifndef TIDEPOOL_MYSQL_POOL_HPP
#define TIDEPOOL_MYSQL_POOL_HPP

#include "../pool.hpp"
#include "../version.hpp"
#include "connector.hpp"
#include "fwd.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// `mysql::pool pool(io, mysql::connector("mysql://app@db/shop"), config);`
/// What the fields of `pool_config` mean here: `connect_timeout` bounds a whole connect, `options::address_timeout` each address of it;
/// `pre_ping` is one COM_PING, `validation_query` replaces it; `reset_timeout` bounds the rollback, or more by `options::reset`, of a
/// connection that needs it at the end of a lease; `close_timeout` bounds a graceful close. `idle_timeout` should be below the server's
/// `wait_timeout`, which is 8 hours by default and ends idle sessions.
using pool = basic_pool<connection>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if !TIDEPOOL_HEADER_ONLY
TIDEPOOL_DECLARE_POOL(::tidepool::mysql::connection);  // src.hpp compiles it, also where a file instantiates pools of its own
#endif

#endif
