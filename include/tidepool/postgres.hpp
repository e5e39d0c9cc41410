// SPDX-License-Identifier: BSL-1.0
// tidepool - PostgreSQL: connection, transaction, codecs, and the pool of them.
//
// Needs libpq 14 or newer. What differs when compiled with one before 17: a cancel request is sent without encryption, on a thread of its
// own; a stream gets its rows one by one from libpq instead of in chunks. A program that was compiled with 17 or newer and runs with an
// older one cannot connect: that is a permanent failure which names both.
#ifndef TIDEPOOL_POSTGRES_HPP
#define TIDEPOOL_POSTGRES_HPP

#include "postgres/codec.hpp"
#include "postgres/connection.hpp"
#include "postgres/connector.hpp"
#include "postgres/error.hpp"
#include "postgres/listener.hpp"
#include "postgres/options.hpp"
#include "postgres/pool.hpp"
#include "postgres/result.hpp"
#include "postgres/transaction.hpp"

#endif
