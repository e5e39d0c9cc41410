// SPDX-License-Identifier: BSL-1.0
// tidepool - databases: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_DATABASE_IPP
#define TIDEPOOL_SQLITE_IMPL_DATABASE_IPP

#include <algorithm>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "../database.hpp"
#include "../detail/session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

TIDEPOOL_LAZY_BODY database::database(asio::any_io_executor executor, options settings, std::size_t readers, const pool_config& config)
    : database(std::move(executor), parts_of(std::move(settings), readers, config)) {}

TIDEPOOL_LAZY_BODY database::parts database::parts_of(options settings, std::size_t readers, const pool_config& config) {
  if (settings.is_private()) {
    throw error(errc::bad_options,
                "a database of one connection, in memory or temporary, has no readers besides: use a pool with "
                "sqlite::memory_config(), or file:/name?vfs=memdb");
  }
  if (settings.read_only || settings.query_only) {
    throw error(errc::bad_options, "a database has a writer, and read_only or query_only is set: use a pool of readers alone");
  }
  if (readers == 0) throw error(errc::bad_options, "readers is 0: one or more connections have to read");
  pool_config write = config;
  pool_config read = config;
  const std::string name(config.name.view().substr(0, 56));
  write.name = name + "-write";
  read.name = name + "-read";
  write.min_size = write.max_size = 1;
  write.min_idle = read.min_idle = 0;
  read.max_size = readers;
  read.min_size = std::min(config.min_size, readers);
  options for_reading = settings;
  for_reading.query_only = true;
  for_reading.optimize = false;
  connector writer(std::move(settings));
  connector reader(std::move(for_reading), writer);
  return {std::move(writer), std::move(reader), write, read};
}

namespace detail {
template <class = void>
inline asio::awaitable<void> open_both(sqlite::pool& first, sqlite::pool& second, source_location where) {
  co_await first.open(where);
  std::exception_ptr failure;
  try {
    co_await second.open(where);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  co_await first.close(duration::zero());
  std::rethrow_exception(failure);
}
template <class = void>
inline asio::awaitable<void> close_both(sqlite::pool& first, sqlite::pool& second, time_limit grace, source_location where) {
  const auto until = later(real_now(), grace);
  co_await first.close(grace, where);
  const bool bounded = until != steady::time_point::max();
  co_await second.close(bounded ? std::max<duration>(until - real_now(), duration::zero()) : duration(no_limit), where);
}
}  // namespace detail

TIDEPOOL_LAZY_BODY asio::awaitable<void> database::open(source_location where) { return detail::open_both(writers_, readers_, where); }
TIDEPOOL_LAZY_BODY asio::awaitable<void> database::close(time_limit grace, source_location where) {
  return detail::close_both(readers_, writers_, grace, where);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
