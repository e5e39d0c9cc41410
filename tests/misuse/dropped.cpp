// SPDX-License-Identifier: BSL-1.0
// tidepool - leases and awaitables that are dropped, and what the compiler warns of; see README.md.
#include <tidepool/pool.hpp>

#pragma GCC diagnostic error "-Wunused-result"

struct conn {};
using conn_pool = tidepool::basic_pool<conn>;

// misuse: a lease without a name
// only: clang
// says: a lease without a name is given back at once
asio::awaitable<void> work(conn_pool& pool) { co_await pool.acquire(); }

// misuse: a lease of try_acquire() without a name
// says: a lease without a name is given back at once
void work(conn_pool& pool) { pool.try_acquire(); }

// misuse: an acquire() that is not awaited
// says: ignoring return value of
void work(conn_pool& pool) { pool.acquire(std::chrono::seconds(1)); }

// misuse: a close() that is not awaited
// says: ignoring return value of
void work(conn_pool& pool) { pool.close(); }

// misuse: an open() that is not awaited
// says: ignoring return value of
void work(conn_pool& pool) { pool.open(); }

// misuse: a connection that is taken out and dropped
// says: to get rid of a connection, discard() the lease
void work(conn_pool::lease& lease) { lease.detach(); }
