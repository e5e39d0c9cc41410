// tidepool - several statements in one go, without waiting for each answer.
#ifndef TIDEPOOL_POSTGRES_PIPELINE_HPP
#define TIDEPOOL_POSTGRES_PIPELINE_HPP

#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "detail/perform.hpp"

namespace tidepool::postgres {

/// What an error in a pipeline means for the other statements. There is no default: the answer is never obvious.
enum class pipeline_mode {
  atomic,      ///< all or nothing: one implicit transaction, unless an explicit one is open
  independent  ///< each statement by itself
};

namespace detail {

struct pipeline_entry {
  explicit pipeline_entry(request statement) : what(std::move(statement)) {}
  request what;
  std::optional<result> got;
  std::exception_ptr failure;
};
using pipeline_entry_ptr = std::shared_ptr<pipeline_entry>;

}  // namespace detail

/// The place where the answer of one statement of a pipeline will be.
class pipeline_result {
 public:
  explicit pipeline_result(detail::pipeline_entry_ptr entry) : entry_(std::move(entry)) {}

  /// After `run()`: the result, or the statement's exception. `rolled_back` for a statement that another one's error undid or
  /// kept from running; `bad_usage` before `run()`.
  const result& get() const {
    if (entry_->failure) std::rethrow_exception(entry_->failure);
    if (!entry_->got) throw error(errc::bad_usage, "the pipeline has not run");
    return *entry_->got;
  }
  const result* operator->() const { return &get(); }

 private:
  detail::pipeline_entry_ptr entry_;
};

/// Statements gathered first and sent together:
///
///     auto batch = c.pipeline(pg::pipeline_mode::atomic);
///     auto a = batch.exec("update t set n = n + 1 where id = $1", 1);
///     auto b = batch.exec("select n from t where id = $1", 1);
///     co_await batch.run();
///     use(b->one<int>());
///
/// Costs one round trip for all; 0.5 to 2 us of CPU a statement instead of some 7. COPY and several statements in one text are
/// not possible. Used once.
class pipeline {
 public:
  pipeline(detail::session_ptr s, pipeline_mode mode) : session_(std::move(s)), mode_(mode) {}
  pipeline(pipeline&&) noexcept = default;
  pipeline& operator=(pipeline&&) noexcept = default;

  template <encodable... Args>
  pipeline_result exec(std::string_view sql, const Args&... args) {
    entries_.push_back(std::make_shared<detail::pipeline_entry>(detail::request::parameters(sql, args...)));
    return pipeline_result(entries_.back());
  }
  std::size_t size() const noexcept { return entries_.size(); }

  /// Sends all and waits for all answers. `atomic` throws the first error, when nothing of the pipeline has happened;
  /// `independent` throws only when the connection is lost: each answer has its own error. Cancellation: as for a statement.
  asio::awaitable<void> run() { return run(session_, mode_, std::exchange(entries_, {})); }

 private:
  using entries = std::vector<detail::pipeline_entry_ptr>;

  static asio::awaitable<void> run(detail::session_ptr s, pipeline_mode mode, entries all) {
    if (all.empty()) co_return;
    std::exception_ptr first;
    {
      detail::operation running(*s);
      if (PQenterPipelineMode(s->pg()) != 1) throw s->lost("while starting a pipeline");
      for (std::size_t i = 0; i < all.size(); ++i) {
        const bool sync = mode == pipeline_mode::independent || i + 1 == all.size();
        const bool sent = all[i]->what.send(s->pg()) && (!sync || PQpipelineSync(s->pg()) == 1);
        if (!sent) throw s->lost("while sending a pipeline");
      }
      co_await detail::flush(s);
      for (std::size_t i = 0; i < all.size(); ++i) {
        co_await collect(s, *all[i]);
        if (all[i]->failure && !first) first = all[i]->failure;
        if (mode == pipeline_mode::independent || i + 1 == all.size()) {
          const detail::result_handle end = co_await detail::next_result(s);
          if (PQresultStatus(end.get()) != PGRES_PIPELINE_SYNC) throw s->lost("in a pipeline");
        }
      }
      if (PQexitPipelineMode(s->pg()) != 1) throw s->lost("at the end of a pipeline");
      running.finished();
    }
    if (mode == pipeline_mode::independent || !first) co_return;
    for (auto& entry : all) {
      // What had succeeded was undone with the rest.
      if (!entry->failure) entry->failure = undone();
    }
    std::rethrow_exception(first);
  }

  static std::exception_ptr undone() {
    return std::make_exception_ptr(error(errc::rolled_back, "another statement of the pipeline failed"));
  }

  static asio::awaitable<void> collect(detail::session_ptr s, detail::pipeline_entry& entry) {
    detail::outcome said;
    bool skipped = false;
    for (;;) {
      detail::result_handle got = co_await detail::next_result(s);
      if (!got) break;
      if (PQresultStatus(got.get()) == PGRES_PIPELINE_ABORTED) {
        skipped = true;
        continue;
      }
      const bool taken = said.take(std::move(got));
      if (!taken) throw s->lost("by COPY in a pipeline");
    }
    if (PQstatus(s->pg()) != CONNECTION_OK) (void)said.conclude(*s);  // throws
    if (skipped) {
      entry.failure = undone();
      co_return;
    }
    try {
      entry.got = said.conclude(*s);
    } catch (const error& failure) {
      if (failure.connection_lost()) throw;
      entry.failure = std::current_exception();
    }
  }

  detail::session_ptr session_;
  pipeline_mode mode_;
  entries entries_;
};

}  // namespace tidepool::postgres

#endif
