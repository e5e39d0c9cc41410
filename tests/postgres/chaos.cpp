// SPDX-License-Identifier: BSL-1.0
// tidepool - connections cut at every byte, changed at every byte, and split into small pieces.
#include <string>
#include <vector>

#include "proxy.hpp"

using namespace tidepool_tests;

namespace {

/// The result of one connection with a few statements of every kind.
struct verdict {
  bool right = false;  ///< everything arrived as it should
  bool clean = false;  ///< or an error of the driver came
  std::string story;
};

asio::awaitable<void> everything(pg::connection& c) {
  const auto text = co_await c.one<std::string>("select repeat($1, 300)", "x");
  if (text != std::string(300, 'x')) throw std::runtime_error("wrong text");
  auto body = [](pg::transaction& t) -> asio::awaitable<int> { co_return co_await t.one<int>("select 42"); };
  const int number = co_await c.transaction(body);
  if (number != 42) throw std::runtime_error("wrong number");
  auto batch = c.pipeline(pg::pipeline_mode::independent);
  auto first = batch.exec("select 1");
  auto second = batch.exec("select 2");
  co_await batch.run();
  if (first->one<int>() != 1 || second->one<int>() != 2) throw std::runtime_error("wrong pipeline");
  int sum = 0;
  auto rows = co_await c.stream<int>("select generate_series(1, 4)");
  for (auto row = co_await rows.next(); row; row = co_await rows.next()) sum += *row;
  auto out = co_await c.copy_out("copy (select generate_series(1, 4)) to stdout");
  for (auto row = co_await out.row<int>(); row; row = co_await out.row<int>()) sum += *row;
  if (sum != 20) throw std::runtime_error("wrong rows");
}

/// Every place in a long run (TIDEPOOL_LONG), every third one else; all strides are odd and meet the messages at other places.
std::size_t stride(std::size_t every) { return std::getenv("TIDEPOOL_LONG") == nullptr ? 3 * every : every; }

/// `limit`: after this an operation is aborted, as a pool would.
verdict attempt(const std::string& conninfo, std::chrono::milliseconds limit) {
  verdict out;
  auto task = [&]() -> asio::awaitable<void> {
    pg::options settings(conninfo);
    settings.address_timeout = limit;
    settings.close_timeout = limit;
    auto c = co_await pg::connection::connect(settings);
    asio::steady_timer guard(co_await asio::this_coro::executor);
    guard.expires_after(limit);
    guard.async_wait([&c](tidepool::error_code failure) {
      if (!failure) c.abort();
    });
    co_await everything(c);
    guard.cancel();
    co_await c.close();
  };
  try {
    run(task());
    out.right = true;
  } catch (const pg::error& failure) {
    out.clean = true;
    out.story = failure.what();
  } catch (const std::exception& failure) {
    out.story = failure.what();
  }
  return out;
}

std::string through(const proxy& wire) {
  const pg::options direct(server());
  return "host=127.0.0.1 port=" + std::to_string(wire.port()) + " user=" + std::string(direct.get("user")) +
         " dbname=" + std::string(direct.get("dbname")) + " sslmode=disable";
}
}  // namespace

TEST_CASE("given a wire cut after any number of bytes, when it is used, then all is right or a clean error", "[postgres][server][chaos]") {
  NEEDS_SERVER();
  proxy wire(server_port());
  const auto conninfo = through(wire);
  int right = 0;
  int clean = 0;
  for (std::size_t at = 0; at < 2600; at += stride(at < 700 ? 3 : 17)) {
    for (const bool to_client : {true, false}) {
      wire_fault cut;
      cut.cut_at = at;
      wire.set(to_client ? wire_fault{} : cut, to_client ? cut : wire_fault{});
      const auto got = attempt(conninfo, 20s);
      INFO("cut " << (to_client ? "to the client" : "to the server") << " at byte " << at << ": " << got.story);
      CHECK((got.right || got.clean));
      right += got.right ? 1 : 0;
      clean += got.clean ? 1 : 0;
    }
  }
  CHECK(clean > 60);
  CHECK(right > 0);
}

TEST_CASE("given a wire that passes one byte at a time, when it is used, then all is right", "[postgres][server][chaos]") {
  NEEDS_SERVER();
  proxy wire(server_port());
  wire_fault pieces;
  pieces.piece = 1;
  wire.set(pieces, pieces);
  const auto got = attempt(through(wire), 30s);
  INFO(got.story);
  CHECK(got.right);
}

TEST_CASE("given a wire that spoils one byte, when it is used, then it ends, within the time it is given", "[postgres][server][chaos]") {
  NEEDS_SERVER();
  proxy wire(server_port());
  const auto conninfo = through(wire);
  // A spoiled length makes either side wait for bytes that never come: only the deadline ends that. What a spoiled
  // byte of plain text means cannot be noticed, so wrong values are no failure here.
  int ended = 0;
  for (std::size_t at = 0; at < 1200; at += stride(13)) {
    for (const bool to_client : {true, false}) {
      wire_fault spoil;
      spoil.spoil_at = at;
      wire.set(to_client ? wire_fault{} : spoil, to_client ? spoil : wire_fault{});
      const stopwatch watch;
      const auto got = attempt(conninfo, 150ms);
      INFO("spoiled " << (to_client ? "to the client" : "to the server") << " at byte " << at << ": " << got.story);
      CHECK(got.story.find("hangs") == std::string::npos);
      CHECK(watch.seconds() < 30);
      ++ended;
    }
  }
  CHECK(ended > 50);
}
