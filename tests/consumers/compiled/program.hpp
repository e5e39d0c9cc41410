// SPDX-License-Identifier: BSL-1.0
// tidepool - what a program keeps.
#ifndef CONSUMER_PROGRAM_HPP
#define CONSUMER_PROGRAM_HPP

#include <tidepool/pool.hpp>

#include "session.hpp"

struct session {
  int uses = 0;
};
struct program {
  program();
  tidepool::asio::io_context io;
  session_pool pool;
};

#endif
