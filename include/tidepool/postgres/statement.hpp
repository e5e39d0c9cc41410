// tidepool - prepared statements: by hand, or by the connection's own cache.
#ifndef TIDEPOOL_POSTGRES_STATEMENT_HPP
#define TIDEPOOL_POSTGRES_STATEMENT_HPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "detail/perform.hpp"

namespace tidepool::postgres {

/// Names a statement that one connection has prepared. It lives as long as that connection, or until `reset_level::full`.
class statement {
 public:
  explicit statement(std::string name) : name_(std::move(name)) {}
  std::string_view name() const noexcept { return name_; }

 private:
  std::string name_;
};

namespace detail {

inline asio::awaitable<statement> prepare(session_ptr s, std::string sql, duration limit) {
  statement made("tidepool_" + std::to_string(++s->statements_named));
  auto what = request::prepare(made.name(), sql);
  what.limit = limit;
  co_await perform(s, std::move(what));
  co_return made;
}

/// Runs a statement through the cache: prepared at its first use, by text and parameter types.
inline asio::awaitable<result> execute_cached(session_ptr s, request what) {
  std::string key(what.sql());
  for (const Oid type : what.types()) key += '\0' + std::to_string(type);
  for (bool again = false;; again = true) {
    std::string name = s->prepared.find(key);
    request bound = what;
    result got;
    std::unique_ptr<error> failed;
    try {
      if (name.empty()) {
        name = "tidepool_" + std::to_string(++s->statements_named);
        auto first = request::prepare(name, what.sql(), what.types());
        first.limit = what.limit;
        co_await perform(s, std::move(first));
        s->prepared.insert(key, name);
        if (s->prepared.has_stale()) co_await perform(s, request::simple(s->prepared.take_stale()));
      }
      bound.use_statement(name);
      got = co_await perform(s, std::move(bound));
    } catch (const error& failure) {
      failed = std::make_unique<error>(failure);
    }
    if (!failed) co_return got;
    if (failed->is("0A000")) {
      s->prepared.drop(key);  // the table changed under the plan
    } else if (failed->is("26000") || failed->is("42P05")) {
      s->prepared.clear();  // somebody deallocated them, or this is another server process than before, which a proxy lets happen
    } else {
      throw error(*failed);
    }
    // Nothing of the statement has run. In a transaction the server has given up on all of it, so only the caller can try again.
    if (again || PQtransactionStatus(s->pg()) != PQTRANS_IDLE) throw error(*failed);
  }
}

inline asio::awaitable<result> execute(session_ptr s, request what) {
  if (s->prepared.capacity() == 0) return perform(std::move(s), std::move(what));
  return execute_cached(std::move(s), std::move(what));
}

}  // namespace detail
}  // namespace tidepool::postgres

#endif
