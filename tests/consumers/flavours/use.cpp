// SPDX-License-Identifier: BSL-1.0
// tidepool - compiled twice, with standalone Asio and with Boost.Asio, as USE: all that the pool is made of is then in the program twice.
#include <tidepool/complete_within.hpp>
#include <tidepool/pool.hpp>
#include <tidepool/run.hpp>

#include <chrono>
#include <string>
#include <system_error>
#include <typeinfo>

#include "use.hpp"

namespace {

using namespace std::chrono_literals;
namespace asio = tidepool::asio;

struct plain {
  int number = 0;
};
using pool = tidepool::basic_pool<plain>;

asio::awaitable<plain> make_plain() { co_return plain{7}; }
asio::awaitable<int> work(pool& from) {
  auto lease = co_await from.acquire();
  co_return lease->number;
}

}  // namespace

used USE() {
  used out;
  tidepool::pool_config config;
  config.name = "both";
  config.min_size = config.max_size = 1;
  asio::io_context io;
  pool all(io, make_plain, config);
  const auto both = [](pool& from) -> asio::awaitable<int> {
    auto held = co_await from.acquire();
    held.release();
    co_return co_await tidepool::complete_within(10s, work(from));
  };
  out.number = tidepool::run(io, all, both);
  out.pool_type = typeid(pool).name();
  out.error_type = typeid(tidepool::error_code).name();
  try {
    const pool::lease none;
    out.number += none->number;
  } catch (const tidepool::system_error& failure) {
    out.code = failure.code();  // of Boost: converted
    out.known = out.code == tidepool::errc::empty_lease;
  }
  return out;
}
