// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of PostgreSQL connections.
#ifndef TIDEPOOL_POSTGRES_POOL_HPP
#define TIDEPOOL_POSTGRES_POOL_HPP

#include "../pool.hpp"
#include "../version.hpp"
#include "connector.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// `postgres::pool pool(io, postgres::connector("host=db dbname=shop"), config);`
///
/// What of `pool_config` means what here: `connect_timeout` bounds a whole connect, `options::address_timeout` each server of it;
/// `pre_ping` is one empty statement, `validation_query` replaces it; `reset_timeout` bounds the rollback, or more by
/// `options::reset`, of a connection that comes back in need of it; `close_timeout` the wait for the server's goodbye.
using pool = basic_pool<connection>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
