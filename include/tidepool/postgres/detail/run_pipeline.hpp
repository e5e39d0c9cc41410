// SPDX-License-Identifier: BSL-1.0
// tidepool - sends the statements of a pipeline and collects their answers.
#ifndef TIDEPOOL_POSTGRES_DETAIL_RUN_PIPELINE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_RUN_PIPELINE_HPP

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "../pipeline.hpp"
#include "operation.hpp"
#include "perform.hpp"
#include "pipeline_entry.hpp"
#include "second.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class = void>
inline bool entry_executes(const pipeline_entry& entry) noexcept {
  return entry.what.kind() == request::verb::parameters;
}
template <class = void>
inline transaction_end entry_end(const pipeline_entry& entry) noexcept {
  return entry_executes(entry) ? transaction_end_of(entry.what.sql()) : transaction_end::none;
}

inline constexpr std::size_t pipeline_sent_at_once = std::size_t{32} << 10U;  ///< libpq sends nothing by itself below 64 KiB

/// How far a pipeline has come.
struct pipeline_progress {
  bool commits = false;  ///< each Sync ends an implicit transaction
  bool may_end = false;  ///< the Sync of an atomic one may have reached the server
};

/// Throws where it failed because of a cancel request of this side.
template <class = void>
inline void throw_pipeline_cancelled(const session& s, const std::exception_ptr& first) {
  try {
    std::rethrow_exception(first);
  } catch (const error& failure) {
    if (failure.is("57014")) throw_stopped(s, *s.limits.stop(), {});
  }
}

template <class = void>
inline std::exception_ptr pipeline_undone() {
  return std::make_exception_ptr(
      error(errc::rolled_back, "another statement of the pipeline failed, and its error says why: this one was not done"));
}

/// Gives each statement that has no answer yet its error, and returns what `run()` throws.
template <class = void>
inline error give_up_pipeline(pipeline_mode mode, const pipeline_entries& all, const pipeline_progress& how,
                              const std::exception_ptr& first, const error& lost) {
  bool executes = false;
  bool ended = false;
  for (const auto& entry : all) {
    executes = executes || entry_executes(*entry);
    ended = ended || (entry->sent && entry_end(*entry) == transaction_end::commit);
  }
  const bool commits = how.commits || ended;
  const std::string why = lost.message().empty() ? std::string(lost.explanation()) : "the connection was lost";
  const error unknown(errc::outcome_unknown, why + " before the pipeline was answered: it may have been done or not", lost.diagnosis());
  const bool failed = mode == pipeline_mode::atomic && first;
  // Of an atomic pipeline nothing is done before its end has reached the server: its Sync, or a COMMIT of its own just before that.
  const bool nothing = !executes || !commits || (mode == pipeline_mode::atomic && !how.may_end && !ended);
  bool open = false;
  for (const auto& entry : all) {
    if (entry->settled || entry->failure) continue;
    const bool perhaps = entry->sent && !failed && !nothing;
    entry->failure = failed ? pipeline_undone() : std::make_exception_ptr(perhaps ? unknown : lost);
    open = open || perhaps;
  }
  return open ? unknown : lost;
}

/// Statements before the end of a transaction would be committed although one after it fails.
template <class = void>
inline void refuse_early_end(const pipeline_entries& all) {
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    if (entry_end(*all[i]) == transaction_end::none) continue;
    throw error(errc::bad_usage, "statement " + std::to_string(i + 1) +
                                     " of an atomic pipeline ends the transaction, and is not its last: nothing was sent; use two "
                                     "pipelines, or pipeline_mode::independent");
  }
}

/// Reads up to the answer of one Sync. An error of the commit comes after the answers of its statements.
template <class = void>
inline asio::awaitable<void> synchronize_pipeline(session_ptr s, std::exception_ptr& failure) {
  outcome said;
  for (int ends = 0;;) {
    result_handle got = co_await next_result(s);
    if (PQstatus(s->pg()) != CONNECTION_OK) {
      if (got) (void)said.take(*s, std::move(got));
      said.check(*s);  // throws
    }
    if (!got) {
      // One end follows an error; a server that sends more would keep this loop running for ever.
      if (++ends > 2) throw s->lost("in a pipeline");
      continue;
    }
    if (PQresultStatus(got.get()) == PGRES_PIPELINE_SYNC) break;
    // A further result means that every answer may belong to another statement.
    const bool only_an_error = PQresultStatus(got.get()) == PGRES_FATAL_ERROR;
    (void)said.take(*s, std::move(got));
    if (!only_an_error) throw s->lost("by an answer too many in a pipeline");
  }
  try {
    said.check(*s);
  } catch (const error& thrown) {
    if (thrown.connection_lost()) throw;
    failure = std::current_exception();
  }
}

template <class = void>
inline asio::awaitable<void> collect_answer(session_ptr s, pipeline_entry& entry) {
  outcome said;
  s->current = &entry.what;
  bool skipped = false;
  for (;;) {
    result_handle got = co_await next_result(s);
    if (!got) break;
    if (PQresultStatus(got.get()) == PGRES_PIPELINE_ABORTED) {
      skipped = true;
      continue;
    }
    if (PQresultStatus(got.get()) == PGRES_PIPELINE_SYNC) throw s->lost("by a Sync too early in a pipeline");
    const bool taken = said.take(*s, std::move(got));
    if (!taken) throw s->lost("by COPY in a pipeline");
  }
  if (PQstatus(s->pg()) != CONNECTION_OK) said.check(*s);  // throws
  if (skipped) {
    entry.failure = pipeline_undone();
    co_return;
  }
  try {
    entry.got = said.conclude(*s, entry.what.sql());
  } catch (const error& failure) {
    if (failure.connection_lost()) throw;
    entry.failure = std::current_exception();
  }
}

/// Throws only when the connection is lost.
template <class = void>
inline asio::awaitable<void> exchange_pipeline(session_ptr s, pipeline_mode mode, const pipeline_entries& all, pipeline_progress& how,
                                               std::exception_ptr& first) {
  if (PQenterPipelineMode(s->pg()) != 1) throw s->lost("while starting a pipeline");
  std::size_t size = 0;
  for (const auto& entry : all) size += entry->what.size();
  s->note_sent_size(size);
  std::size_t unsent = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool last = i + 1 == all.size();
    all[i]->sent = all[i]->what.send(s->pg());
    if (!all[i]->sent) throw s->lost("while sending a pipeline");
    if (mode == pipeline_mode::atomic) {
      if (!last) continue;
      // libpq does not tell how much of a large one it has sent. So all before the end is sent first.
      if (size > pipeline_sent_at_once) co_await flush(s);
      how.may_end = true;
    }
    if (!put_sync(s->pg())) throw s->lost("while sending a pipeline");
    // When this fails, what comes after it was certainly not done.
    unsent += all[i]->what.size();
    if (unsent > pipeline_sent_at_once) {
      co_await flush(s);
      unsent = 0;
    }
  }
  co_await flush(s);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& entry = *all[i];
    co_await collect_answer(s, entry);
    if (entry.failure && !first) first = entry.failure;
    if (mode == pipeline_mode::independent) {
      std::exception_ptr failure;
      co_await synchronize_pipeline(s, failure);
      if (failure && !entry.failure) entry.failure = failure;
      entry.settled = true;
    }
  }
  if (mode == pipeline_mode::atomic) {
    s->current = nullptr;  // an error of the commit is everybody's
    std::exception_ptr failure;
    co_await synchronize_pipeline(s, failure);
    if (failure && !first) first = failure;
    for (const auto& entry : all) {
      if (failure && !entry->failure) entry->failure = failure;
      entry->settled = true;
    }
  }
  const bool ended = PQexitPipelineMode(s->pg()) == 1;
  if (ended && s->in_step()) co_return;
  for (const auto& entry : all) {
    entry->settled = false;
    entry->got.reset();
  }
  throw s->lost(ended ? "by an answer too many in a pipeline" : "at the end of a pipeline");
}

template <class = void>
inline asio::awaitable<void> run_pipeline(session_ptr s, pipeline_mode mode, pipeline_entries all, duration limit,
                                          const char* verb = "pipeline()") {
  if (all.empty()) co_return;
  for (const auto& entry : all) refuse_copy_text(*s, entry->what);
  if (mode == pipeline_mode::atomic) refuse_early_end(all);
  if (is_held_up(*s)) co_await make_way(s, verb, limit);
  std::exception_ptr first;
  std::exception_ptr aborted;
  std::optional<error> lost;
  pipeline_progress how;
  {
    named_operation running(*s, verb);
    if (limit != no_limit) s->limits.each_within(limit);
    if (s->traced) s->traced->begin(clock::now(), "PIPELINE", {}, all.front()->what.from(), s->peer);
    how.commits = PQtransactionStatus(s->pg()) == PQTRANS_IDLE;
    try {
      co_await exchange_pipeline(s, mode, all, how, first);
      running.finished();
      if (s->limits.stop()) co_await settle(s);
    } catch (const error& failure) {
      lost = failure;
    } catch (const system_error& failure) {
      lost = error(errc::connection_lost, failure.what());
      aborted = std::current_exception();
    }
  }
  if (lost) {
    if (s->limits.stop()) co_await asio::this_coro::throw_if_cancelled(s->limits.stop()->throws);
    const auto told = give_up_pipeline(mode, all, how, first, *lost);
    if (aborted) std::rethrow_exception(aborted);
    throw error(told);
  }
  if (mode == pipeline_mode::independent || !first) co_return;
  for (auto& entry : all) {
    // Statements that had succeeded were undone with the rest.
    if (!entry->failure) entry->failure = pipeline_undone();
  }
  if (s->limits.stop() && s->limits.stop()->why == stopping::cause::cancelled) throw_pipeline_cancelled(*s, first);
  std::rethrow_exception(first);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
