// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement whose rows are read as they arrive.
#ifndef TIDEPOOL_POSTGRES_DETAIL_STREAM_RUN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_STREAM_RUN_HPP

#include <memory>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "../stream.hpp"
#include "drain.hpp"
#include "operation.hpp"
#include "perform.hpp"
#include "second.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// How many rows libpq returns at once, where it can (libpq 17): as fast as a whole result, without its memory.
inline constexpr int stream_chunk = 128;

template <class = void>
class basic_stream_run final : public row_source {
 public:
  basic_stream_run(session_ptr s, request&& what) : session_(std::move(s)) {
    refuse_copy_text(*session_, what);
    running_.emplace(*session_, "stream()", std::move(what));
    put_request(*session_, *running_, running_->what);
#ifdef LIBPQ_HAS_CHUNK_MODE
    const bool set = PQsetChunkedRowsMode(session_->pg(), stream_chunk) == 1;
#else
    const bool set = PQsetSingleRowMode(session_->pg()) == 1;
#endif
    if (!set) throw session_->lost("while starting a stream");
    begun = PQflush(session_->pg()) == 0;
    if (begun) running_->hold();
  }

  asio::awaitable<void> begin() override {
    co_await flush(session_);
    if (session_->limits.stop()) {
      co_await drain_stopped(session_, *running_);
      throw_stopped(*session_, *session_->limits.stop(), {});
    }
    running_->hold();
  }

  asio::awaitable<void> fetch() override {
    const one_call only(in_call_, "a stream()");
    forget_rows();
    for (;;) {
      result_handle got = co_await next_result(session_);
      if (!got) break;
      const auto status = PQresultStatus(got.get());
#ifdef LIBPQ_HAS_CHUNK_MODE
      const bool is_rows = status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_CHUNK;
#else
      const bool is_rows = status == PGRES_SINGLE_TUPLE;
#endif
      if (is_rows) session_->note_size(got.get());
      if (is_rows && session_->limits.stop()) continue;  // being stopped: rows are dropped
      if (is_rows) {
        if (session_->settings().statement_in_errors) note_origin(*session_, got.get());
        end = PQntuples(got.get());
        rows = result(std::move(got));
        co_return;
      }
      const bool taken = all_.take(*session_, std::move(got));
      if (!taken) {
        all_.refuse();
        co_await refuse_copy(session_);
      }
    }
    running_->finished();
    open = false;
    const end_of_run last(running_);  // errors name the statement
    if (session_->limits.stop()) {
      (void)co_await conclude_stopped(session_, all_);
      throw_stopped(*session_, *session_->limits.stop(), {});  // it has ended by itself, but rows were dropped
    }
    (void)all_.conclude(*session_);
  }

  asio::awaitable<void> close() override {
    const one_call only(in_call_, "a stream()");
    forget_rows();
    if (!open) co_return;
    co_await cancel_and_drain(session_, *running_);
    open = false;
    running_.reset();
  }

 private:
  /// Ends the operation with the function.
  class end_of_run {
   public:
    explicit end_of_run(std::optional<statement_run>& run) noexcept : run_(run) {}
    end_of_run(const end_of_run&) = delete;
    end_of_run& operator=(const end_of_run&) = delete;
    ~end_of_run() { run_.reset(); }

   private:
    std::optional<statement_run>& run_;
  };

  void forget_rows() noexcept {
    rows = result();
    at = end = 0;
  }

  session_ptr session_;
  std::optional<statement_run> running_;  ///< while it is open
  outcome all_;
  bool in_call_ = false;
};
using stream_run = basic_stream_run<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
