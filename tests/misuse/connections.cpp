// SPDX-License-Identifier: BSL-1.0
// tidepool - connection types of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/pool.hpp>

#include <memory>
#include <string>

template <class C>
asio::awaitable<void> work(asio::io_context& io) {
  tidepool::basic_pool<C> pool(io, []() -> asio::awaitable<C> { co_return C(); });
  co_await pool.open();
  auto lease = co_await pool.acquire();
  lease.release();
  co_await pool.close();
}

// misuse: the connection cannot be moved
// says: the connection type cannot be moved: give it a move constructor, or pool a std::unique_ptr to it
struct conn {
  conn() = default;
  conn(const conn&) = delete;
};
asio::awaitable<void> use(tidepool::basic_pool<conn>& pool) {
  auto lease = co_await pool.acquire();
  lease.release();
}

// misuse: the connection is a reference
// says: the connection type is a reference
struct conn {};
asio::awaitable<void> use(tidepool::basic_pool<conn&>& pool) {
  auto lease = co_await pool.acquire();
  lease.release();
}

// misuse: the connection is const
// says: the connection type is const
struct conn {};
asio::awaitable<void> use(tidepool::basic_pool<const conn>& pool) {
  auto lease = co_await pool.acquire();
  lease.release();
}

// misuse: the connection is only declared
// says: the connection type is only declared here: include the header that defines it
struct conn;
asio::awaitable<void> use(tidepool::basic_pool<conn>& pool) {
  auto lease = co_await pool.acquire();
  lease.release();
}

// misuse: the connection may throw when it is destroyed
// says: the destructor of the connection may throw
struct conn {
  conn() = default;
  conn(conn&&) noexcept = default;
  ~conn() noexcept(false) {}
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: ping() returns whether it went well
// says: write `asio::awaitable<void> ping()`
struct conn {
  asio::awaitable<bool> ping();
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: reset() returns something
// says: write `asio::awaitable<void> reset()`
struct conn {
  asio::awaitable<int> reset();
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: close() is a coroutine of another library
// says: write `asio::awaitable<void> close()`
struct task {
  bool await_ready();
};
struct conn {
  task close();
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: ping() runs on another executor
// says: runs on another executor: write `asio::awaitable<void, E>`
struct conn {
  asio::awaitable<void, asio::io_context::executor_type> ping();
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: ping() takes its query as a string
// says: write `asio::awaitable<void> ping(std::string_view query)`
struct conn {
  asio::awaitable<void> ping(const std::string& query);
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: usable() is not const
// says: write `bool usable() const noexcept`
struct conn {
  bool usable();
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: abort() may throw
// says: write `void abort() noexcept`
struct conn {
  void abort();
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: after_lease() returns a bool
// says: write `tidepool::lease_end after_lease() const noexcept`
struct conn {
  bool after_lease() const noexcept;
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: last_round_trip() returns a number
// says: last_round_trip() of the connection has another form
struct conn {
  int last_round_trip() const noexcept;
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: memory_bytes() may throw
// says: memory_bytes() of the connection has another form
struct conn {
  std::size_t memory_bytes() const;
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: driver_threads() belongs to one connection
// says: driver_threads() of the connection has another form
struct conn {
  std::size_t driver_threads() const noexcept;
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: lint() returns no findings
// says: lint() of the connection has another form
struct conn {
  asio::awaitable<void> lint(const tidepool::pool_config&);
};
template asio::awaitable<void> work<conn>(asio::io_context&);

// misuse: why_broken() returns no text
// says: write `std::string why_broken() const`
struct conn {
  int why_broken() const;
};
template asio::awaitable<void> work<conn>(asio::io_context&);
