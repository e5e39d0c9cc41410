// SPDX-License-Identifier: BSL-1.0
// tidepool - includes the PostgreSQL driver: connection, transactions, codecs, COPY, LISTEN, and the pool.
// Needs libpq 14 or newer. Differences when it is compiled with one before 17: a cancel request is sent without encryption, by a thread;
// a stream gets its rows one by one from libpq instead of in chunks. A program that was compiled with 17 or newer and runs with an older
// one cannot connect: that is a permanent failure whose text names both versions.
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
#include "postgres/server_error.hpp"
#include "postgres/transaction.hpp"

#endif
