// SPDX-License-Identifier: BSL-1.0
// tidepool - what the benchmarks of many connections share.
#ifndef TIDEPOOL_BENCHMARKS_MANY_HPP
#define TIDEPOOL_BENCHMARKS_MANY_HPP

#include <malloc.h>
#include <sys/resource.h>
#include <tidepool/pool.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <utility>

namespace benchmarks {

namespace asio = tidepool::asio;

/// Bytes.
inline double heap_in_use() {
  const auto info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}
inline void rethrow(std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);
}
/// To the end of the work, whatever else there is to do.
inline void run(asio::io_context& io, asio::awaitable<void> work) {
  asio::co_spawn(io, std::move(work), [&io](std::exception_ptr failed) {
    rethrow(failed);
    io.stop();
  });
  io.restart();
  io.run();
}
/// As many as there are descriptors for: two a connection, libpq's and Asio's. Some are left for what is closed and opened meanwhile, and
/// for cancel requests.
inline std::size_t most_connections(std::size_t wanted) {
  constexpr std::size_t spare = 40;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 2 * wanted + spare);
  limit.rlim_max = std::max(limit.rlim_max, limit.rlim_cur);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return std::min<std::size_t>(wanted, (static_cast<std::size_t>(limit.rlim_cur) - spare) / 2);
}

}  // namespace benchmarks

#endif
