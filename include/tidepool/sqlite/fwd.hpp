// SPDX-License-Identifier: BSL-1.0
// tidepool - declarations without definitions, for headers that only name a pool of SQLite connections or what belongs to one: they include
// neither Asio nor SQLite.
#ifndef TIDEPOOL_SQLITE_FWD_HPP
#define TIDEPOOL_SQLITE_FWD_HPP

#include "../fwd.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

class connection;
class connector;
class database;
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
