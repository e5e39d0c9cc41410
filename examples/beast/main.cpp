// SPDX-License-Identifier: BSL-1.0
// tidepool - the service's handlers behind Boost.Beast: the pool and the PostgreSQL driver on Boost.Asio. `examples/run.sh` puts it under
// load.
//
//   beast [--port N] [--connections N]
//
// DATABASE_URL says where the database is. Listens on 127.0.0.1; port 0, the default, is any free one. SIGTERM and SIGINT end it: it stops
// accepting, answers what is under way, closes the pool, and tidepool::run() returns. One thread, so nothing here needs a strand.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "../service/on_postgres.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using namespace std::chrono_literals;
using tcp = asio::ip::tcp;
using request_type = beast::http::request<beast::http::string_body>;
using response_type = beast::http::response<beast::http::string_body>;

response_type to_beast(const http::response& from, const request_type& request, bool keep) {
  response_type out(static_cast<beast::http::status>(from.status), request.version());
  out.set(beast::http::field::content_type, from.type);
  out.keep_alive(keep);
  out.body() = from.body;
  out.prepare_payload();
  return out;
}

/// One client. `tcp_stream` ends what takes too long.
class session {
 public:
  session(tcp::socket socket, bank& ours) : stream_(std::move(socket)), bank_(ours) {}

  asio::awaitable<void> run() {
    bool keep = true;
    while (keep && !stopping_) {
      request_type request;
      beast::error_code failed;
      stream_.expires_after(60s);
      reading_ = true;
      co_await beast::http::async_read(stream_, buffer_, request, asio::redirect_error(asio::use_awaitable, failed));
      reading_ = false;
      if (failed) co_return;  // it has gone, or was idle for too long
      const http::message asked{request.method_string(), request.target(), 0, request.body(), request.keep_alive()};
      const http::response said = co_await answer_to(asked);
      keep = asked.keep_alive && !stopping_;
      const response_type answer = to_beast(said, request, keep);
      stream_.expires_after(10s);
      co_await beast::http::async_write(stream_, answer, asio::redirect_error(asio::use_awaitable, failed));
      if (failed) co_return;
    }
  }
  /// No further request; the one under way is answered.
  void finish() {
    stopping_ = true;
    beast::error_code closed;
    if (reading_ && buffer_.size() == 0 && stream_.socket().available(closed) == 0) stream_.cancel();
  }
  void cut() { stream_.close(); }

 private:
  asio::awaitable<http::response> answer_to(const http::message& request) {
    std::string trouble;
    try {
      co_return co_await bank_.answer(request);
    } catch (const std::exception& error) {
      trouble = error.what();
    }
    std::fprintf(stderr, "%s %s: %s\n", request.method.c_str(), request.target.c_str(), trouble.c_str());
    co_return http::response(500, "{\"error\":\"internal\"}");
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  bank& bank_;
  bool reading_ = false;
  bool stopping_ = false;
};

class server {
 public:
  server(asio::io_context& io, unsigned short port, bank& ours)
      : acceptor_(io, {asio::ip::address_v4::loopback(), port}), all_gone_(io), bank_(ours) {}

  unsigned short port() const { return acceptor_.local_endpoint().port(); }

  /// Serves until it is cancelled. Then the requests under way are answered.
  asio::awaitable<void> run() {
    beast::error_code failed;
    for (;;) {
      auto socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, failed));
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) break;
      if (failed) continue;
      auto client = std::make_shared<session>(std::move(socket), bank_);
      clients_.insert(client);
      auto gone = [this, client](std::exception_ptr) {
        clients_.erase(client);
        if (clients_.empty()) all_gone_.cancel();
      };
      asio::co_spawn(acceptor_.get_executor(), client->run(), std::move(gone));
    }
    co_await asio::this_coro::reset_cancellation_state();  // a cancelled coroutine could not await anything else
    std::printf("stopping\n");
    acceptor_.close();
    for (const auto& client : clients_) client->finish();
    if (!clients_.empty()) {
      all_gone_.expires_after(5s);
      co_await all_gone_.async_wait(asio::redirect_error(asio::use_awaitable, failed));
    }
    for (const auto& client : clients_) client->cut();
  }

 private:
  tcp::acceptor acceptor_;
  asio::steady_timer all_gone_;
  bank& bank_;
  std::set<std::shared_ptr<session>> clients_;
};

}  // namespace

int main(int argc, char** argv) try {
  unsigned short port = 0;
  tidepool::pool_config config;
  config.name = "bank";
  config.min_size = 2;
  config.max_size = 8;
  config.acquire_timeout = 3s;  // shorter than the timeout of the clients
  for (int i = 1; i + 1 < argc; i += 2) {
    const unsigned long value = std::strtoul(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--port")) port = static_cast<unsigned short>(value);
    if (!std::strcmp(argv[i], "--connections")) config.max_size = value;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);

  asio::io_context io(1);
  tidepool::postgres::pool pool(io, tidepool::postgres::connector(std::getenv("DATABASE_URL")), config);
  pool.log_to([](tidepool::log_level, const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); });
  bank ours(pool);
  server front(io, port, ours);
  std::printf("listening on http://127.0.0.1:%u\n", front.port());
  tidepool::run(io, pool, front.run(), {.signals = {SIGINT, SIGTERM}, .grace = 10s});
  std::printf("%s\n", pool.describe().c_str());
  return pool.stats().total_connections == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "beast: %s\n", error.what());
  return 1;
}
