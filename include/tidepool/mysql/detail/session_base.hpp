// SPDX-License-Identifier: BSL-1.0
// tidepool - what callers see of a session: virtual functions, so that a file that only calls a connection compiles none of the driver.
#ifndef TIDEPOOL_MYSQL_DETAIL_SESSION_BASE_HPP
#define TIDEPOOL_MYSQL_DETAIL_SESSION_BASE_HPP

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../detail/util/asio.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../result.hpp"

struct st_mysql;

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {
template <class Scope>
class any_body;
}

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

class connection;
class statement;
class transaction;
struct transaction_options;
enum class reset_level;

namespace detail {

using any_body = tidepool::detail::driver::any_body<transaction>;
class request;
class row_source;
class session_base;
template <class>
class basic_session;

using base_ptr = std::shared_ptr<session_base>;
using session = basic_session<void>;
using session_ptr = std::shared_ptr<session>;

/// The verbs of a session. `self` owns the session: an operation keeps it, because the connection may be moved or destroyed meanwhile.
class session_base {
 public:
  virtual asio::awaitable<result> execute(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<void> script(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<statement> prepare(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<std::unique_ptr<row_source>> begin_stream(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<void> transact(const base_ptr& self, std::shared_ptr<any_body> body, const transaction_options& wanted) = 0;
  virtual asio::awaitable<void> save(const base_ptr& self, std::shared_ptr<any_body> body, unsigned depth, duration answer_within,
                                     duration within) = 0;

  virtual asio::awaitable<void> ping(const base_ptr& self, std::string query, duration limit) = 0;
  /// By `options::reset` where no level is given.
  virtual asio::awaitable<void> reset(const base_ptr& self, std::optional<reset_level> level, duration limit) = 0;
  virtual asio::awaitable<void> close(const base_ptr& self) = 0;
  /// Its connection is destroyed, or refers to another session.
  virtual void let_go() noexcept = 0;

  st_mysql* handle() const noexcept { return handle_; }

 protected:
  session_base() = default;
  session_base(const session_base&) = delete;
  session_base& operator=(const session_base&) = delete;
  ~session_base() = default;

  st_mysql* handle_ = nullptr;
};

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
