// SPDX-License-Identifier: BSL-1.0
// tidepool - declarations without definitions, for headers that only name a pool of PostgreSQL connections or what belongs to one: they
// include neither Asio nor libpq.
#ifndef TIDEPOOL_POSTGRES_FWD_HPP
#define TIDEPOOL_POSTGRES_FWD_HPP

#include "../fwd.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

class connection;
class connector;
class options;
class transaction;
class statement;
class pipeline;
class listener;
class result;
class row;
class error;
enum class errc;
template <class T>
struct codec;
using pool = basic_pool<connection>;
template <class Pool>
class basic_multiplexer;
template <class Pool>
class basic_multiplexers;
using multiplexer = basic_multiplexer<pool>;
using multiplexers = basic_multiplexers<pool>;
struct multiplexer_options;
struct multiplexer_stats;
class multiplexer_error;
class cluster;
using cluster_multiplexer = basic_multiplexer<cluster>;
using cluster_multiplexers = basic_multiplexers<cluster>;
template <class Pool>
class basic_cluster_lease;
using cluster_lease = basic_cluster_lease<pool>;
class cluster_error;
struct cluster_options;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
