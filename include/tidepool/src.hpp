// SPDX-License-Identifier: BSL-1.0
// tidepool - the code of the pool for one file of the program. All its files are compiled with TIDEPOOL_SEPARATE_COMPILATION defined, and
// exactly one of them is
//
//   #include <tidepool/src.hpp>
//
// or links the CMake target `tidepool::compiled`, which does that. `<tidepool/postgres/src.hpp>` is the same for PostgreSQL.
#ifndef TIDEPOOL_SRC_HPP
#define TIDEPOOL_SRC_HPP

#include "detail/util/linkage.hpp"

#if TIDEPOOL_HEADER_ONLY
#error "tidepool/src.hpp: compile all files of the program with TIDEPOOL_SEPARATE_COMPILATION defined, or do not include this one"
#endif

#include "detail/driver/impl/type_words.ipp"
#include "detail/shell/impl/event_log.ipp"
#include "detail/shell/impl/failure.ipp"
#include "detail/shell/impl/helper_threads.ipp"
#include "detail/util/impl/stack_trace.ipp"
#include "detail/util/impl/system_seed.ipp"
#include "detail/util/impl/words.ipp"
#include "impl/advice.ipp"
#include "impl/config.ipp"
#include "impl/config_text.ipp"
#include "impl/error.ipp"
#include "impl/histogram.ipp"
#include "impl/inspection.ipp"
#include "impl/lease.ipp"
#include "impl/metrics.ipp"
#include "impl/pool_error.ipp"
#include "impl/prometheus.ipp"
#include "impl/recent_lines.ipp"
#include "impl/recording.ipp"
#include "impl/recording_calls.ipp"
#include "impl/statement_times.ipp"
#include "impl/stats.ipp"
#include "policy/impl/observer.ipp"
#include "policy/impl/recorder.ipp"

#endif
