// SPDX-License-Identifier: BSL-1.0
// tidepool - what the tests of multiplexers share.
#ifndef TIDEPOOL_TESTS_POSTGRES_MULTIPLEXER_KIT_HPP
#define TIDEPOOL_TESTS_POSTGRES_MULTIPLEXER_KIT_HPP

#include <tidepool/postgres/multiplexer.hpp>

#include <cstddef>
#include <exception>
#include <stdexcept>

#include "../support/on_end.hpp"
#include "kit.hpp"

namespace tidepool_tests {

inline tidepool::pool_config sized(std::size_t most) {
  tidepool::pool_config out;
  out.min_size = 0;
  out.max_size = most;
  return out;
}

/// Runs `body(mux, pool)` and closes both.
template <class Body>
void with_multiplexer(Body body, pg::multiplexer_options options = {}, std::size_t most = 8, pg::options settings = patient()) {
  asio::io_context io(1);
  pg::pool pool(io, pg::connector(settings), sized(most));
  std::exception_ptr failure;
  bool done = false;
  {
    pg::multiplexer mux(pool, options);
    const auto all = [&]() -> asio::awaitable<void> {
      std::exception_ptr failed;
      try {
        co_await body(mux, pool);
      } catch (...) {
        failed = std::current_exception();
      }
      co_await mux.close();
      co_await pool.close();
      if (failed) std::rethrow_exception(failed);
    };
    const on_end at_end = [&](std::exception_ptr e) {
      failure = e;
      done = true;
    };
    asio::co_spawn(io, all(), at_end);
    io.run_for(hang);
  }
  if (!done) throw std::runtime_error("the coroutine hangs");
  if (failure) std::rethrow_exception(failure);
}

}  // namespace tidepool_tests

#endif
