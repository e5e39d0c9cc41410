// SPDX-License-Identifier: BSL-1.0
// tidepool - one handler: takes a connection from whatever gives connections, uses it, gives it back.
#include <memory>

struct connection {
  int uses = 0;
};
template <class Pool>
asio::awaitable<int> handle(Pool& pool) {
  auto lease = co_await pool.acquire();
  co_return ++lease->uses;
}
