// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of PostgreSQL connections.
#ifndef TIDEPOOL_POSTGRES_POOL_HPP
#define TIDEPOOL_POSTGRES_POOL_HPP

#include "../pool.hpp"
#include "../version.hpp"
#include "connector.hpp"
#include "fwd.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// `postgres::pool pool(io, postgres::connector("host=db dbname=shop"), config);`
/// What the fields of `pool_config` mean here: `connect_timeout` bounds a whole connect, `options::address_timeout` each address of it;
/// `pre_ping` is one empty statement, `validation_query` replaces it; `reset_timeout` bounds the rollback, or more by
/// `options::reset`, of a connection that needs it at the end of a lease; `close_timeout` bounds a graceful close.
using pool = basic_pool<connection>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if !TIDEPOOL_HEADER_ONLY
TIDEPOOL_DECLARE_POOL(::tidepool::postgres::connection);  // src.hpp compiles it, also where a file instantiates pools of its own
#endif

#endif
