// SPDX-License-Identifier: BSL-1.0
// tidepool - several statements sent together, in one round trip.
#ifndef TIDEPOOL_POSTGRES_PIPELINE_HPP
#define TIDEPOOL_POSTGRES_PIPELINE_HPP

#include <memory>
#include <utility>
#include <vector>

#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "detail/request.hpp"
#include "detail/session_base.hpp"
#include "result.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What an error in a pipeline does to the other statements. There is no default, because neither is obvious.
enum class pipeline_mode {
  atomic,      ///< all or nothing: one implicit transaction, unless an explicit one is open
  independent  ///< each statement by itself
};

/// The future answer of one statement of a pipeline.
class pipeline_result {
 public:
  explicit pipeline_result(std::shared_ptr<detail::pipeline_entry> entry) : entry_(std::move(entry)) {}

  /// After `run()`: the result, or the statement's exception. `rolled_back` for a statement that was undone, or not run, because of the
  /// error of another one; `outcome_unknown` for one that was sent and has no final answer, because the connection was lost or `run()` was
  /// cancelled: it may have been done; `connection_lost` for one that was certainly not done; `bad_usage` before `run()`.
  TIDEPOOL_LAZY const result& get() const;
  template <class = void>
  const result* operator->() const {
    return &get();
  }

 private:
  std::shared_ptr<detail::pipeline_entry> entry_;
};

/// Statements gathered first and sent together:
///
///     auto batch = c.pipeline(pg::pipeline_mode::atomic);
///     auto a = batch.exec("update t set n = n + 1 where id = $1", 1);
///     auto b = batch.exec("select n from t where id = $1", 1);
///     co_await batch.run();
///     use(b->one<int>());
/// Costs one round trip for all, and 0.5 to 2 us of CPU for each statement instead of about 7. COPY, and several statements in one text,
/// are not possible. A pipeline runs once.
class pipeline {
 public:
  TIDEPOOL_LAZY pipeline(detail::base_ptr s, pipeline_mode mode, duration limit = no_limit);
  pipeline(pipeline&&) noexcept = default;
  pipeline& operator=(pipeline&&) noexcept = default;

  /// Adds a statement. What it returns has the answer when `run()` has ended.
  template <class... Args>
  pipeline_result exec(query_text sql, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    return add(detail::request::parameters(sql, args...));
  }
  std::size_t size() const noexcept { return entries_.size(); }

  /// Sends all and waits for all answers. `atomic` throws the first error, and then nothing of the pipeline was done; `independent` throws
  /// only when the connection is lost, and each answer has its own error. A statement that ends the transaction (COMMIT, ROLLBACK, PREPARE
  /// TRANSACTION) can only be the last of an `atomic` one: else `bad_usage`, before anything is sent. A procedure that commits by itself
  /// does so here too; its CALL does not show that. An error of the commit at the end (deferred constraints, serialisation) is the error of
  /// its statement with `independent`, and of all statements with `atomic`. `outcome_unknown` when the connection was lost while such a
  /// commit may have been under way; within an open transaction, which is then gone, `connection_lost`. Cancellation: as for a statement.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> run();
  /// The same with a time limit for each answer; each statement that was cancelled because of it has `errc::response_timeout`.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> run(within limit);

 private:
  TIDEPOOL_LAZY pipeline_result add(detail::request&& statement);

  detail::base_ptr session_;
  pipeline_mode mode_;
  duration limit_;
  detail::pipeline_entries entries_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/pipeline.ipp"
#endif

#endif
