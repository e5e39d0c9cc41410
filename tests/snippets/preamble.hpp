// SPDX-License-Identifier: BSL-1.0
// tidepool - what the snippets of README.md and its like take for granted.
#ifndef TIDEPOOL_TESTS_PREAMBLE_HPP
#define TIDEPOOL_TESTS_PREAMBLE_HPP

#include <tidepool/pool.hpp>
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/cluster.hpp>
#include <tidepool/postgres/cluster_multiplexer.hpp>
#include <tidepool/postgres/multiplexers.hpp>
#include <tidepool/statement_times.hpp>
#include <tidepool/testing.hpp>
#if __has_include(<sqlite3.h>)
#include <tidepool/sqlite.hpp>
namespace sqlite = tidepool::sqlite;
#endif

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_future.hpp>
#include <asio/write.hpp>

#include <cassert>
#include <chrono>
#include <csignal>
#include <future>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace postgres = tidepool::postgres;

/// What a snippet that is the body of a coroutine may use without saying so.
#define SNIPPET_PARAMETERS \
  [[maybe_unused]] asio::io_context &io, [[maybe_unused]] postgres::pool &pool, [[maybe_unused]] postgres::connection &db

#endif
