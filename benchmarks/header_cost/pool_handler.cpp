// SPDX-License-Identifier: BSL-1.0
// tidepool - the same handler on a pool.
#include <tidepool/pool.hpp>

#include "handler.hpp"

void start(asio::io_context& io, tidepool::basic_pool<connection>& pool) { asio::co_spawn(io, handle(pool), asio::detached); }
