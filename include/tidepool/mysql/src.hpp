// SPDX-License-Identifier: BSL-1.0
// tidepool - the code of the MySQL driver for one file of the program, besides `<tidepool/src.hpp>` in the same or another one; or link the
// CMake target `tidepool::mysql_compiled`, which does both.
#ifndef TIDEPOOL_MYSQL_SRC_HPP
#define TIDEPOOL_MYSQL_SRC_HPP

#include "../detail/util/linkage.hpp"

#if TIDEPOOL_HEADER_ONLY
#error "tidepool/mysql/src.hpp: compile all files of the program with TIDEPOOL_SEPARATE_COMPILATION defined, or do not include this one"
#endif

#include "../instantiate.hpp"
#include "../mysql.hpp"
#include "impl/cancel.ipp"
#include "impl/codec.ipp"
#include "impl/codec_time.ipp"
#include "impl/connection.ipp"
#include "impl/connector.ipp"
#include "impl/error.ipp"
#include "impl/kept_rows.ipp"
#include "impl/options.ipp"
#include "impl/request.ipp"
#include "impl/stream.ipp"
#include "impl/transaction.ipp"

TIDEPOOL_INSTANTIATE_POOL(::tidepool::mysql::connection);

#endif
