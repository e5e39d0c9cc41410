// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of your own connection type: any movable class will do; optional members are found and used.
//
// Here it is a client of a line-based service: a word is sent, and the same word comes back. A few lines in this program are the server.
#include <tidepool/pool.hpp>

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/write.hpp>
#include <cstdio>
#include <string>

using asio::ip::tcp;

class line_connection {
 public:
  explicit line_connection(tcp::socket socket) : socket_(std::move(socket)) {}

  asio::awaitable<std::string> ask(std::string word) {
    word += '\n';
    broken_ = true;  // until the answer is here: also when this coroutine is cancelled half-way
    co_await asio::async_write(socket_, asio::buffer(word), asio::use_awaitable);
    std::string answer;
    co_await asio::async_read_until(socket_, asio::dynamic_buffer(answer), '\n', asio::use_awaitable);
    broken_ = false;
    co_return answer.substr(0, answer.size() - 1);
  }

  // All the rest is optional; see tidepool/connection.hpp for what else the pool looks for.
  bool usable() const noexcept { return !broken_; }                // asked before it is handed on: no round trip
  asio::awaitable<void> ping() { co_await ask("are you there"); }  // one round trip, by `pre_ping` and the periodic health check

 private:
  tcp::socket socket_;
  bool broken_ = false;
};

using line_pool = tidepool::basic_pool<line_connection>;

asio::awaitable<void> echo(tcp::socket client) {
  char data[256];
  for (;;) {
    const auto size = co_await client.async_read_some(asio::buffer(data), asio::use_awaitable);
    co_await asio::async_write(client, asio::buffer(data, size), asio::use_awaitable);
  }
}

asio::awaitable<void> serve(tcp::acceptor& acceptor) {
  for (;;) {
    tidepool::error_code closed;
    auto client = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, closed));
    if (closed) co_return;
    // A client that goes away ends its echo() by an exception, which is none of the server's business.
    asio::co_spawn(acceptor.get_executor(), echo(std::move(client)), [](std::exception_ptr) {});
  }
}

asio::awaitable<void> talk(line_pool& pool, int number) {
  auto lease = co_await pool.acquire();
  const std::string answer = co_await lease->ask("word " + std::to_string(number));
  std::printf("connection %llu answered: %s\n", static_cast<unsigned long long>(lease.id()), answer.c_str());
}

asio::awaitable<void> talk_to_all(line_pool& pool, tcp::acceptor& acceptor) {
  // Three at a time get a connection, because there are only three; the others wait.
  // `tidepool::rethrow`, not `asio::detached`: what one of them throws ends the program in words, instead of being lost.
  auto executor = co_await asio::this_coro::executor;
  for (int i = 1; i < 9; ++i) asio::co_spawn(executor, talk(pool, i), tidepool::rethrow);
  co_await talk(pool, 9);
  acceptor.close();
}

int main() try {
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::co_spawn(io, serve(acceptor), tidepool::rethrow);

  // A connector makes a connection, or throws; the pool bounds its time, retries and backs off.
  auto connect = [where = acceptor.local_endpoint()](const line_pool::connect_context& context) -> asio::awaitable<line_connection> {
    tcp::socket socket(context.executor());
    co_await socket.async_connect(where, asio::use_awaitable);
    co_return line_connection(std::move(socket));
  };
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 3;
  line_pool pool(io, connect, config);
  tidepool::run(io, pool, talk_to_all(pool, acceptor));
} catch (const std::exception& error) {
  std::fprintf(stderr, "custom_connection: %s\n", error.what());
  return 1;
}
