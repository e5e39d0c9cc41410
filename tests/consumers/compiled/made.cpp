// SPDX-License-Identifier: BSL-1.0
// tidepool - makes the pool, and compiles what it does.
#include <tidepool/instantiate.hpp>
#include <tidepool/pool.hpp>

#include "program.hpp"

TIDEPOOL_INSTANTIATE_POOL(session);

namespace {
tidepool::asio::awaitable<session> connect() { co_return session{}; }
}  // namespace

program::program() : pool(io, connect) {}
std::shared_ptr<program> begin() { return std::make_shared<program>(); }
session_pool& pool_of(program& of) { return of.pool; }
int run_on(program& of) {
  of.io.restart();
  return static_cast<int>(of.io.run());
}
