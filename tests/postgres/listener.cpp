// SPDX-License-Identifier: BSL-1.0
// tidepool - what a listener does with the connections that it loses; what it hears is in bulk.cpp.
#include <vector>

#include "kit.hpp"

using namespace tidepool_tests;

TEST_CASE("given a listener that has lost its connection, when it connects anew, then the old socket is closed",
          "[postgres][server][listener]") {
  NEEDS_SERVER();
  std::vector<int> open;  // at the begin of each connect
  auto task = [&]() -> asio::awaitable<void> {
    auto other = co_await connect();
    pg::options settings = patient();
    settings.credential_provider = [&open]() -> asio::awaitable<pg::credentials> {
      open.push_back(open_descriptors());
      co_return pg::credentials("", "");
    };
    pg::listener inbox(pg::connector(settings), {"tidepool_lost"});
    const auto fresh = co_await inbox.next();
    must(!fresh, "told of the first connection");
    co_await other.exec("select pg_terminate_backend($1)", inbox.backend_pid());
    const auto again = co_await inbox.next();
    must(!again, "told of the second one");
    co_await inbox.close();
  };
  run(task());
  REQUIRE(open.size() == 2);
  CHECK(open[1] == open[0]);
}
