// SPDX-License-Identifier: BSL-1.0
// tidepool - a program with TIDEPOOL_SEPARATE_COMPILATION: this file compiles nothing of what the pool does.
#include <cstdio>

#include "program.hpp"

#if !defined(TIDEPOOL_SEPARATE_COMPILATION)
#error "the target tidepool::compiled defines TIDEPOOL_SEPARATE_COMPILATION"
#endif

namespace {
tidepool::asio::awaitable<void> use(session_pool& pool, int& uses) {
  {
    auto lease = co_await pool.acquire();
    uses = ++lease->uses;
  }
  co_await pool.close();
}
}  // namespace

int main() {
  const auto made = begin();
  tidepool::pool_config wrong;
  wrong.max_size = 0;
  const bool validates = !wrong.validate().empty();
  const int first = served_in_another_file(*made);
  const bool told = told_by_another_file(*made).find("\"direct\":") != std::string::npos;
  int second = 0;
  tidepool::asio::co_spawn(made->io, use(pool_of(*made), second), tidepool::rethrow);
  run_on(*made);
  std::printf("%d, %d\n", first, second);
  return validates && told && first == 1 && second == 2 ? 0 : 1;
}
