// SPDX-License-Identifier: BSL-1.0
// tidepool - a shared object that uses a pool it is given. With hidden visibility it has its own copy of all that headers define.
#include "user.hpp"

namespace {

namespace asio = tidepool::asio;
namespace postgres = tidepool::postgres;

asio::awaitable<void> lease(counted_pool& pool) { auto one = co_await pool.acquire(std::chrono::milliseconds(1)); }

std::exception_ptr acquire(counted_pool& pool, asio::io_context& io) {
  std::exception_ptr failed;
  asio::co_spawn(io, lease(pool), [&](std::exception_ptr what) {
    failed = std::move(what);
    io.stop();
  });
  io.run();
  io.restart();
  return failed;
}

}  // namespace

const user_functions* tidepool_test_user() {
  static const user_functions functions{borrow,
                                        acquire,
                                        [](tidepool::errc value) { return make_error_code(value); },
                                        [](const std::error_code& code, tidepool::errc value) { return code == value && value == code; },
                                        [](postgres::errc value) { return make_error_code(value); },
                                        [](const std::error_code& code, postgres::errc value) { return code == value && value == code; },
                                        [] { throw tidepool::connect_error(tidepool::failure_kind::permanent, "wrong password"); },
                                        [] { throw postgres::connect_error(postgres::errc::connect_failed, "no such database", {}, true); },
                                        thrown_types};
  return &functions;
}
