// SPDX-License-Identifier: BSL-1.0
// tidepool - declarations without definitions, for headers that only name a pool, a lease or an error: they include no Asio.
#ifndef TIDEPOOL_FWD_HPP
#define TIDEPOOL_FWD_HPP

#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

template <class Connection>
struct default_traits;
template <class Connection, class Traits = default_traits<Connection>>
class basic_pool;
template <class Connection, class Traits = default_traits<Connection>>
class basic_lease;

struct pool_config;
struct pool_stats;
class histogram;
enum class pool_state;
enum class errc;
enum class failure_kind;
struct error_report;
class pool_error;
struct null_mutex;
struct null_observer;
class log_observer;
class recording;
struct null_tracer;
struct trace_context;
class tracing;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
