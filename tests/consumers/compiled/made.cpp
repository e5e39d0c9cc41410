// SPDX-License-Identifier: BSL-1.0
// tidepool - makes the pool, and compiles what it does.
#include <tidepool/instantiate.hpp>
#include <tidepool/pool.hpp>

#include "program.hpp"

TIDEPOOL_INSTANTIATE_POOL(session);

namespace {
tidepool::asio::awaitable<session> dial() { co_return session{}; }
tidepool::pool_config of_one() {
  tidepool::pool_config config;
  config.min_size = config.max_size = 1;
  return config;
}
}  // namespace

program::program() : pool(io, dial, of_one()) {}
std::shared_ptr<program> begin() { return std::make_shared<program>(); }
session_pool& pool_of(program& of) { return of.pool; }
int run_on(program& of) {
  of.io.restart();
  return static_cast<int>(of.io.run());
}
