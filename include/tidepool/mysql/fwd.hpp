// SPDX-License-Identifier: BSL-1.0
// tidepool - declarations without definitions, for headers that only name a pool of MySQL connections or what belongs to one: they include
// neither Asio nor the client library.
#ifndef TIDEPOOL_MYSQL_FWD_HPP
#define TIDEPOOL_MYSQL_FWD_HPP

#include "../fwd.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

class connection;
class connector;
class options;
class transaction;
class statement;
class result;
class row;
class error;
enum class errc;
template <class T>
struct codec;
using pool = basic_pool<connection>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
