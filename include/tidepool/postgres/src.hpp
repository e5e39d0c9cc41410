// SPDX-License-Identifier: BSL-1.0
// tidepool - the code of the PostgreSQL driver for one file of the program, besides `<tidepool/src.hpp>` in the same or another one; or
// link the CMake target `tidepool::postgres_compiled`, which does both.
#ifndef TIDEPOOL_POSTGRES_SRC_HPP
#define TIDEPOOL_POSTGRES_SRC_HPP

#include "../detail/util/linkage.hpp"

#if TIDEPOOL_HEADER_ONLY
#error "tidepool/postgres/src.hpp: compile all files of the program with TIDEPOOL_SEPARATE_COMPILATION defined, or do not include this one"
#endif

#include "../instantiate.hpp"
#include "../postgres.hpp"
#include "cluster.hpp"
#include "impl/cancel.ipp"
#include "impl/cluster.ipp"
#include "impl/codec.ipp"
#include "impl/codec_time.ipp"
#include "impl/connection.ipp"
#include "impl/connector.ipp"
#include "impl/copy.ipp"
#include "impl/copy_text.ipp"
#include "impl/error.ipp"
#include "impl/listener.ipp"
#include "impl/multiplexer_options.ipp"
#include "impl/multiplexer_stats.ipp"
#include "impl/mux_outcome.ipp"
#include "impl/options.ipp"
#include "impl/pipeline.ipp"
#include "impl/read_error.ipp"
#include "impl/request.ipp"
#include "impl/statement.ipp"
#include "impl/topology.ipp"
#include "impl/transaction.ipp"

TIDEPOOL_INSTANTIATE_POOL(::tidepool::postgres::connection);

#endif
