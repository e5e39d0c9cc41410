// SPDX-License-Identifier: BSL-1.0
// tidepool - multiplexers for programs with several threads: each has a strand of its own, all share one pool.
#ifndef TIDEPOOL_POSTGRES_MULTIPLEXERS_HPP
#define TIDEPOOL_POSTGRES_MULTIPLEXERS_HPP

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../detail/util/thread_number.hpp"
#include "../version.hpp"
#include "detail/mux/elsewhere.hpp"
#include "multiplexer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// As many multiplexers as threads, over one pool of an `io_context` that these threads run:
///
///     postgres::multiplexers shared(pool, 2);
///     auto name = co_await shared.read_one<std::string>("select name from users where id = $1", id);
/// The calls may come from any thread. Each goes to the multiplexer of the calling thread, by a post to its strand, and the result comes
/// back by a post to the caller's executor. What runs on `executor(i)` calls `at(i)` without these posts. `max_lanes` of the options is for
/// each of them.
///
/// Await `close()` before it is destroyed, or destroy it when no thread runs the context any more.
template <class Pool>
class basic_multiplexers {
 public:
  /// One of them.
  using single = basic_multiplexer<Pool>;
  using executor_type = typename Pool::executor_type;
  /// What its functions return.
  template <class T>
  using awaitable = typename single::template awaitable<T>;

  /// Throws std::invalid_argument for a count of zero and for faults of the options.
  basic_multiplexers(Pool& of, std::size_t count, multiplexer_options settings = {}) {
    if (count == 0) throw std::invalid_argument("multiplexers: the count has to be above zero");
    // While one thread looks, another one sleeps in the context, and is to be woken up all the same.
    if (count > 1) settings.look_time = {};
    for (std::size_t i = 0; i < count; ++i) {
      all_.push_back(std::make_unique<single>(executor_type(asio::make_strand(of.get_executor())), of, settings));
    }
  }

  std::size_t size() const noexcept { return all_.size(); }
  /// One of them. Its calls must come from `executor(i)`. Throws std::out_of_range.
  single& at(std::size_t i) { return *all_.at(i); }
  /// The strand of `at(i)`.
  const executor_type& executor(std::size_t i) const { return all_.at(i)->get_executor(); }

  /// As in a multiplexer.
  ///@{
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> exec(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.exec(sql, args...));
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> exec(const statement_terms& terms, query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.exec(terms, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> one(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template one<T>(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> one(const statement_terms& terms, query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template one<T>(terms, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> opt(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template opt<T>(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> opt(const statement_terms& terms, query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template opt<T>(terms, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> all(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template all<T>(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> all(const statement_terms& terms, query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template all<T>(terms, sql, args...));
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> read(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.read(sql, args...));
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<result> read(const statement_terms& terms, query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.read(terms, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> read_one(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template read_one<T>(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<T> read_one(const statement_terms& terms, query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template read_one<T>(terms, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> read_opt(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template read_opt<T>(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::optional<T>> read_opt(const statement_terms& terms, query_text sql,
                                                                            const Args&... args) {
    auto& there = mine();
    return on(there, there.template read_opt<T>(terms, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> read_all(query_text sql, const Args&... args) {
    auto& there = mine();
    return on(there, there.template read_all<T>(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] awaitable<std::vector<T>> read_all(const statement_terms& terms, query_text sql,
                                                                          const Args&... args) {
    auto& there = mine();
    return on(there, there.template read_all<T>(terms, sql, args...));
  }
  ///@}

  /// Closes each; see `basic_multiplexer::close()`.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(time_limit grace = std::chrono::seconds(10)) {
    for (auto& each : all_) co_await on(*each, each->close(grace));
  }
  /// The sum of all.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<multiplexer_stats> stats() {
    multiplexer_stats sum;
    for (auto& each : all_) {
      const auto part = co_await on(*each, stats_of(*each));
      sum += part;
    }
    co_return sum;
  }

 private:
  single& mine() {
    const auto number = tidepool::detail::thread_number::mine();
    return *all_[number % all_.size()];
  }
  /// The statement is made here, and everything else is done on the other's strand.
  template <class T, class Executor>
  static asio::awaitable<T, Executor> on(single& there, asio::awaitable<T, Executor> work) {
    return detail::mux::elsewhere(Executor(there.get_executor()), std::move(work));
  }
  static asio::awaitable<multiplexer_stats> stats_of(single& of) { co_return of.stats(); }

  std::vector<std::unique_ptr<single>> all_;
};

/// `postgres::multiplexers shared(pool, threads);`
using multiplexers = basic_multiplexers<pool>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
