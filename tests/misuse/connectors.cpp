// SPDX-License-Identifier: BSL-1.0
// tidepool - connectors of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/pool.hpp>

#include <memory>

struct conn {};
using conn_pool = tidepool::basic_pool<conn>;

// misuse: the connector returns no awaitable
// says: the connector returns no awaitable: write `asio::awaitable<C>` as its return type
void start(asio::io_context& io) {
  conn_pool pool(io, []() -> conn { return {}; });
}

// misuse: the connector returns nothing
// says: the connector returns no awaitable
void start(asio::io_context& io) {
  conn_pool pool(io, [](conn_pool::connect_context) {});
}

// misuse: the connector returns an awaitable of another type
// says: the connector's awaitable yields another type: write `asio::awaitable<C>`
void start(asio::io_context& io) {
  conn_pool pool(io, []() -> asio::awaitable<std::unique_ptr<conn>> { co_return std::make_unique<conn>(); });
}

// misuse: the connector returns an awaitable of another executor
// says: the connector's awaitable belongs to another executor type
void start(asio::io_context& io) {
  conn_pool pool(io, []() -> asio::awaitable<conn, asio::io_context::executor_type> { co_return conn(); });
}

// misuse: the connector takes other arguments
// says: the connector is called as `connect(connect_context)` or as `connect()`
void start(asio::io_context& io) {
  conn_pool pool(io, [](const char*, int) -> asio::awaitable<conn> { co_return conn(); });
}

// misuse: the connector takes the context by reference
// says: the connector is called as `connect(connect_context)` or as `connect()`
void start(asio::io_context& io) {
  conn_pool pool(io, [](conn_pool::connect_context&) -> asio::awaitable<conn> { co_return conn(); });
}

// misuse: the connector cannot be copied
// says: the connector cannot be copied
void start(asio::io_context& io) {
  auto password = std::make_unique<int>(7);
  auto connect = [password = std::move(password)]() -> asio::awaitable<conn> { co_return conn(); };
  conn_pool pool(io, std::move(connect));
}

// misuse: the connector is no function
// says: the connector is called as `connect(connect_context)` or as `connect()`
void start(asio::io_context& io) { conn_pool pool(io, "host=db"); }

// misuse: the configuration stands before the connector
// says: the arguments are executor, connector, configuration, observer
void start(asio::io_context& io) {
  conn_pool pool(io, tidepool::pool_config(), []() -> asio::awaitable<conn> { co_return conn(); });
}

// misuse: there is no connector
// says: the connector is missing
void start(asio::io_context& io) { conn_pool pool(io); }

// misuse: the pool gets neither an executor nor a context
// says: the first argument is an execution context or its executor
void start(std::unique_ptr<asio::io_context> io) {
  conn_pool pool(io, []() -> asio::awaitable<conn> { co_return conn(); });
}

// misuse: the pool gets an executor of another type
// says: the first argument is an execution context or its executor
struct fast_traits : tidepool::default_traits<conn> {
  using executor_type = asio::io_context::executor_type;
};
void start(asio::any_io_executor executor) {
  tidepool::basic_pool<conn, fast_traits> pool(executor, []() -> asio::awaitable<conn> { co_return conn(); });
}

// misuse: the third argument is no configuration
// says: the arguments are executor, connector, configuration, observer
void start(asio::io_context& io) {
  conn_pool pool(
      io, []() -> asio::awaitable<conn> { co_return conn(); }, 10);
}
