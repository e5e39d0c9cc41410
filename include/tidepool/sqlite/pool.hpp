// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of SQLite connections.
#ifndef TIDEPOOL_SQLITE_POOL_HPP
#define TIDEPOOL_SQLITE_POOL_HPP

#include "../pool.hpp"
#include "../version.hpp"
#include "connector.hpp"
#include "fwd.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// `sqlite::pool pool(io, sqlite::connector("shop.db"), tidepool::pool_config::embedded());`
/// What the fields of `pool_config` mean here: `connect_timeout` bounds opening, the wait for a lock included; `pre_ping` and
/// `health_check_interval` look whether the file is still the same and can be read; `reset_timeout` bounds the rollback at the end of a
/// lease; `close_timeout` bounds `PRAGMA optimize`. Writers in one process should be one: see `database`.
using pool = basic_pool<connection>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if !TIDEPOOL_HEADER_ONLY
TIDEPOOL_DECLARE_POOL(::tidepool::sqlite::connection);  // src.hpp compiles it, also where a file instantiates pools of its own
#endif

#endif
