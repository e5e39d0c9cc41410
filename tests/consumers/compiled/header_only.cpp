// SPDX-License-Identifier: BSL-1.0
// tidepool - a file of the program that is compiled header-only: it has the same classes and functions, so it may be linked to the others.
#include "program.hpp"

#if defined(TIDEPOOL_SEPARATE_COMPILATION)
#error "this file is to be compiled header-only"
#endif

namespace {
tidepool::asio::awaitable<void> use(session_pool& pool, int& uses) {
  auto lease = co_await pool.acquire();
  uses = ++lease->uses;
}
}  // namespace

int served_in_another_file(program& of) {
  int uses = 0;
  tidepool::asio::co_spawn(of.io, use(of.pool, uses), tidepool::rethrow);
  for (int i = 0; i < 1000 && uses == 0; ++i) of.io.run_one_for(std::chrono::milliseconds(10));
  return uses;
}
std::string told_by_another_file(program& of) { return of.pool.stats().to_json() + of.pool.describe(); }
