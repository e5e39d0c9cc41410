// SPDX-License-Identifier: BSL-1.0
// tidepool - work that run() cannot run, and what the compiler says of it; see README.md.
#include <tidepool/pool.hpp>

struct conn {};
struct other_conn {};
struct concrete : tidepool::default_traits<conn> {
  using executor_type = asio::io_context::executor_type;
};
using conn_pool = tidepool::basic_pool<conn>;

// misuse: work that is no coroutine
// says: work has to be a callable that returns an asio::awaitable, with the pool or nothing as its argument, or such an awaitable
void work(conn_pool&) {}
void start(asio::io_context& io, conn_pool& pool) { tidepool::run(io, pool, work); }

// misuse: work on another type of pool
// says: work has to be a callable that returns an asio::awaitable, with the pool or nothing as its argument, or such an awaitable
asio::awaitable<void> work(tidepool::basic_pool<other_conn>&);
void start(asio::io_context& io, conn_pool& pool) { tidepool::run(io, pool, work); }

// misuse: work with an argument more
// says: work has to be a callable that returns an asio::awaitable, with the pool or nothing as its argument, or such an awaitable
asio::awaitable<void> work(conn_pool&, int);
void start(asio::io_context& io, conn_pool& pool) { tidepool::run(io, pool, work, {.threads = 2}); }

// misuse: work that runs elsewhere
// says: the awaitable of the work has to be of the pool's executor type: Pool::awaitable<T>
asio::awaitable<void> work();
void start(asio::io_context& io, tidepool::basic_pool<conn, concrete>& pool) { tidepool::run(io, pool, work); }

// misuse: an awaitable that is not moved
// says: an awaitable, or a callable that cannot be copied, has to be given by std::move()
asio::awaitable<void> work(conn_pool&);
void start(asio::io_context& io, conn_pool& pool) {
  auto all = work(pool);
  tidepool::run(io, pool, all);
}
