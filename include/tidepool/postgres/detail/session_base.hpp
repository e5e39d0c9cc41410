// SPDX-License-Identifier: BSL-1.0
// tidepool - what callers see of a session: virtual functions, so that a file that only calls a connection compiles none of the driver.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SESSION_BASE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SESSION_BASE_HPP

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../detail/util/asio.hpp"
#include "../../detail/util/owning_ptr.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../query_text.hpp"
#include "../result.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {
template <class Scope>
class any_body;
}

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

class connection;
class copy_reader;
class copy_writer;
class statement;
class transaction;
struct transaction_options;
enum class pipeline_mode;
enum class reset_level;

namespace detail {

using any_body = tidepool::detail::driver::any_body<transaction>;
class request;
class row_source;
class session_base;
struct pipeline_entry;
template <class>
class basic_session;

using base_ptr = std::shared_ptr<session_base>;
using session = basic_session<void>;
using session_ptr = std::shared_ptr<session>;
using pipeline_entries = std::vector<std::shared_ptr<pipeline_entry>>;

/// The verbs of a session. `self` owns the session: an operation keeps it, because the connection may be moved or destroyed meanwhile.
class session_base {
 public:
  /// One statement, through the statement cache.
  virtual asio::awaitable<result> execute(const base_ptr& self, request&& what) = 0;
  /// One request as it is.
  virtual asio::awaitable<result> perform(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<void> script(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<statement> prepare(const base_ptr& self, query_text sql, duration limit) = 0;
  virtual asio::awaitable<void> run_pipeline(const base_ptr& self, pipeline_mode mode, pipeline_entries&& all, duration limit) = 0;
  virtual asio::awaitable<copy_writer> copy_in(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<copy_reader> copy_out(const base_ptr& self, request&& what) = 0;
  virtual asio::awaitable<void> transact(const base_ptr& self, std::shared_ptr<any_body> body, const transaction_options& wanted) = 0;
  virtual asio::awaitable<void> save(const base_ptr& self, std::shared_ptr<any_body> body, unsigned depth, duration answer_within,
                                     duration within) = 0;

  /// A stream is begun without a coroutine of its own: `make_way()` first where it is held up.
  virtual bool is_held_up() const noexcept = 0;
  virtual asio::awaitable<void> make_way(const base_ptr& self, std::string_view verb, duration limit) = 0;
  virtual tidepool::detail::owning_ptr<row_source> begin_stream(const base_ptr& self, request&& what) = 0;

  virtual asio::awaitable<void> ping(const base_ptr& self, std::string query, duration limit) = 0;
  /// By `options::reset` where no level is given.
  virtual asio::awaitable<void> reset(const base_ptr& self, std::optional<reset_level> level, duration limit) = 0;
  virtual asio::awaitable<void> close(const base_ptr& self) = 0;
  /// Its connection is destroyed, or refers to another session.
  virtual void let_go() noexcept = 0;

  PGconn* pg() const noexcept { return pg_; }

 protected:
  session_base() = default;
  session_base(const session_base&) = delete;
  session_base& operator=(const session_base&) = delete;
  ~session_base() = default;

  PGconn* pg_ = nullptr;
};

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
