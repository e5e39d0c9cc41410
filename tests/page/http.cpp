// SPDX-License-Identifier: BSL-1.0
// tidepool - the server of examples/service over plain sockets: who does not read is dropped and holds little; control is for this machine.
#include <asio/connect.hpp>
#include <asio/ip/udp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http_server.hpp"
#include "pool_page.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using tcp = asio::ip::tcp;
constexpr std::size_t piece_size = 64 * 1024;

/// Runs `io` until it is so, for some seconds at most.
template <class Condition>
bool comes_true(asio::io_context& io, Condition is_so) {
  for (const auto end = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < end;) {
    if (is_so()) return true;
    io.restart();
    io.run_for(5ms);
  }
  return false;
}

/// Sends events without an end.
struct event_server {
  explicit event_server(const tcp::endpoint& where)
      : server(
            io.get_executor(), where,
            [this](const http::message& request) -> asio::awaitable<http::response> {
              from_loopback = request.from_loopback;
              return events();
            },
            300ms) {
    server.start();
  }
  asio::awaitable<http::response> events() {
    http::response out(200, "", "text/event-stream");
    if (from_loopback) {
      out.every = 1ms;
      out.more = [this, one = std::make_shared<int>()] {
        readers = one;
        ++pieces;
        return std::string(piece_size, 'x');
      };
    }
    co_return out;
  }
  tcp::socket ask(const asio::ip::address& at = asio::ip::address_v4::loopback()) {
    tcp::socket out(io);
    out.connect({at, server.port()});
    asio::write(out, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")));
    return out;
  }

  asio::io_context io{1};
  std::weak_ptr<int> readers;  ///< of the latest one
  std::size_t pieces = 0;
  std::optional<bool> from_loopback{};
  http::server server;
};

TEST_CASE("given a reader of events that does not read, then it is dropped, and little is kept for it") {
  event_server at({asio::ip::address_v4::loopback(), 0});
  const auto reader = at.ask();
  REQUIRE(comes_true(at.io, [&] { return !at.readers.expired(); }));
  REQUIRE(comes_true(at.io, [&] { return at.readers.expired(); }));
  // One piece in the program, and what the system keeps on both ends.
  CHECK(at.pieces * piece_size < 8 * 1024 * 1024);
  const auto pieces = at.pieces;
  at.io.restart();
  at.io.run_for(50ms);
  CHECK(at.pieces == pieces);
}

TEST_CASE("given a reader that takes a byte now and then, then it is dropped as well; one that reads is served") {
  event_server at({asio::ip::address_v4::loopback(), 0});
  auto slow = at.ask();
  char byte = 0;
  REQUIRE(comes_true(at.io, [&] { return at.pieces > 0; }));
  REQUIRE(comes_true(at.io, [&] {
    tidepool::error_code ignored;
    slow.non_blocking(true);
    (void)slow.read_some(asio::buffer(&byte, 1), ignored);
    return at.readers.expired();
  }));
  auto quick = at.ask();
  std::vector<char> bytes(piece_size);
  std::size_t taken = 0;
  const auto begun = std::chrono::steady_clock::now();
  quick.non_blocking(true);
  REQUIRE(comes_true(at.io, [&] {
    tidepool::error_code ignored;
    for (std::size_t n = 1; n > 0; taken += n) n = quick.read_some(asio::buffer(bytes), ignored);
    return std::chrono::steady_clock::now() - begun > 900ms && taken > 3 * piece_size;
  }));
  CHECK(!at.readers.expired());
}

TEST_CASE("given a client, when it comes by the loopback or by another address, then the handler knows which") {
  event_server at({asio::ip::address_v4::any(), 0});
  const auto near = at.ask();
  REQUIRE(comes_true(at.io, [&] { return at.from_loopback.has_value(); }));
  CHECK(*at.from_loopback);
  // This machine's own address where it has one: nothing is sent for this.
  asio::ip::udp::socket look(at.io, asio::ip::udp::v4());
  tidepool::error_code none;
  look.connect({asio::ip::make_address("192.0.2.1"), 9}, none);
  if (none || look.local_endpoint().address().is_loopback()) return;
  at.from_loopback.reset();
  const auto far = at.ask(look.local_endpoint().address());
  REQUIRE(comes_true(at.io, [&] { return at.from_loopback.has_value(); }));
  CHECK(!*at.from_loopback);
}

TEST_CASE("given the token, when control is asked for from another machine, then it is refused") {
  int suspended = 0;
  watched_pool pool;
  pool.inspect = [] { return tidepool::pool_inspection(); };
  pool.suspend = [&suspended] { ++suspended; };
  const std::string token = "0123456789abcdef";
  std::vector<watched_pool> pools;
  pools.push_back(pool);
  pool_page page(std::move(pools), tidepool::recent_lines(), token);
  http::message request;
  request.method = "POST";
  request.target = "/pool/control/0/suspend";
  request.host = "127.0.0.1";
  request.authorization = "Bearer " + token;
  const auto refused = page.answer(request);
  CHECK(refused.status == 403);
  CHECK(refused.body.find("another machine") != std::string::npos);
  request.from_loopback = true;
  CHECK(page.answer(request).status == 200);
  CHECK(suspended == 1);
  // Nor by a name that leads here, or for a page of another site.
  request.host = "pool.example";
  CHECK(page.answer(request).status == 403);
  request.host = "127.0.0.1:8080";
  request.origin = "http://pool.example";
  CHECK(page.answer(request).status == 403);
  request.origin = "http://127.0.0.1:8080";
  request.authorization = "Bearer " + token.substr(1) + "0";
  CHECK(page.answer(request).status == 401);
  CHECK(suspended == 1);
}

}  // namespace
