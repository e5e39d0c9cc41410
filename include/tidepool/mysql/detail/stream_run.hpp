// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement whose rows are read as they arrive.
#ifndef TIDEPOOL_MYSQL_DETAIL_STREAM_RUN_HPP
#define TIDEPOOL_MYSQL_DETAIL_STREAM_RUN_HPP

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "../stream.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

template <class = void>
class basic_stream_run final : public row_source {
 public:
  basic_stream_run(session_ptr s, request&& what) : session_(std::move(s)), what_(std::move(what)) {}
  ~basic_stream_run() override {
    if (running_) session_->current = nullptr;
  }

  asio::awaitable<void> begin() {
    running_.emplace(*session_, "stream()");
    session_->current = &what_;
    if (session_->traced) running_->trace(tidepool::detail::driver::tag_of(what_.sql), what_.from);
    if (what_.limit != no_limit) session_->each_within(what_.limit);
    outcome all;
    of_ = co_await execute_statement(session_, what_, all);
    session_->parameters.trim();
    if (of_ == nullptr || session_->stop) {
      if (of_ != nullptr) co_await drain();
      co_await end(std::move(all.failed), of_ != nullptr);
      co_return;
    }
    (void)all.add(*session_, what_);
    start_chunk();
    rows->no_rows = mysql_stmt_field_count(of_) == 0;
    reader_.begin(of_, *rows);
    if (rows->no_rows) co_await drain();
    if (rows->no_rows) {
      auto kept = std::move(rows);
      co_await end(failure(), false);
      rows = std::move(kept);
      co_return;
    }
    running_->hold();
  }

  asio::awaitable<void> fetch() override {
    const one_call only(in_call_);
    names_ = std::move(rows->names);
    count_ += rows->count;
    start_chunk();
    rows->names = names_;
    constexpr std::size_t most_rows = 128, most_bytes = std::size_t{64} << 10U;
    failure failed;
    for (bool waited = false; rows->count < most_rows && rows->bytes.size() < most_bytes && !waited;) {
      const int status = calls::fetch(*session_, of_);
      if (status != 0) {
        waited = true;
        co_await finish_call(session_, status);
      }
      const int got = session_->number;
      if (session_->stop || session_->broken || (got != 0 && got != MYSQL_DATA_TRUNCATED)) {
        if (got == 1 || session_->broken) failed = session_->failure_now(of_);
        const bool dropped = session_->stop && !failed.any;
        if (!failed.any) co_await drain();
        // The rows that are here are returned before the end, but not those of a statement that was stopped.
        auto kept = std::move(rows);
        co_await end(std::move(failed), dropped);
        rows = std::move(kept);
        co_return;
      }
      reader_.take(of_, *rows);
    }
  }

  asio::awaitable<void> close() override {
    const one_call only(in_call_);
    if (!open) co_return;
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    begin_stop(*session_, stopping::cause::closed, throws);
    auto& stop = *session_->stop;
    stop.limit = session_->each() == no_limit ? duration(std::chrono::seconds(5)) : session_->each();
    stop.until = later(clock::now(), stop.limit);
    co_await drain();
    co_await end(failure(), false);
    at = 0;
    rows.reset();
  }

 private:
  class one_call {
   public:
    explicit one_call(bool& running) : running_(running) {
      if (running) throw error(errc::busy, "a stream() is used by two calls at once: co_await the first before the second");
      running = true;
    }
    one_call(const one_call&) = delete;
    one_call& operator=(const one_call&) = delete;
    ~one_call() { running_ = false; }

   private:
    bool& running_;
  };

  void start_chunk() {
    auto made = std::make_unique<kept_rows>();
    if (session_->settings().statement_in_errors) {
      made->statement = printable(what_.sql, 300);
      made->called_from = what_.from;
    }
    made->before = count_;
    rows = std::move(made);
    at = 0;
  }
  /// Reads what is still to come, and drops it.
  asio::awaitable<void> drain() {
    if (mysql_stmt_field_count(of_) != 0) {
      for (int turn = 1;; ++turn) {
        // Lets other coroutines of this event loop run, however much the server still sends.
        if (turn % 1024 == 0) co_await tidepool::detail::give_way();
        int status = calls::fetch(*session_, of_);
        if (status != 0) co_await finish_call(session_, status);
        if (session_->broken || (session_->number != 0 && session_->number != MYSQL_DATA_TRUNCATED)) break;
      }
      if (session_->number == 1) dropped_ = session_->failure_now(of_);
    }
    while (!session_->broken && mysql_stmt_more_results(of_) != 0) {
      int status = calls::next_set(*session_, of_);
      if (status != 0) co_await finish_call(session_, status);
      if (session_->number != 0) break;
      if (mysql_stmt_field_count(of_) == 0) continue;
      status = calls::store(*session_, of_);
      if (status != 0) co_await finish_call(session_, status);
      if (session_->number != 0) break;
    }
  }
  /// The statement has ended. `stopped`: it was cancelled, and has ended without an error of the server.
  asio::awaitable<void> end(failure failed, bool stopped) {
    open = false;
    if (session_->passing != nullptr && !session_->broken) {
      MYSQL_STMT* const gone = std::exchange(session_->passing, nullptr);
      co_await close_statement(session_, gone);
    } else if (of_ != nullptr && !session_->broken) {
      (void)mysql_stmt_free_result(of_);
    }
    const bool closing = session_->stop && session_->stop->why == stopping::cause::closed;
    if (session_->stop) {
      if (!session_->broken) {
        co_await settle(session_);
      } else {
        co_await asio::this_coro::throw_if_cancelled(session_->stop->throws);
      }
    }
    if (!failed.any && dropped_.any) failed = std::move(dropped_);
    const bool lost = session_->broken || failed.said.ends_session();
    if (!lost) running_->finished();
    const end_of_run last(running_);
    if (closing && !lost) co_return;  // the error is that of being cancelled
    if (failed.any || session_->broken) throw_failure(*session_, std::move(failed));
    if (stopped) throw_stopped(*session_, *session_->stop, {});
    session_->note_answer();
  }
  class end_of_run {
   public:
    explicit end_of_run(std::optional<operation>& run) noexcept : run_(run) {}
    end_of_run(const end_of_run&) = delete;
    end_of_run& operator=(const end_of_run&) = delete;
    ~end_of_run() { run_.reset(); }

   private:
    std::optional<operation>& run_;
  };

  session_ptr session_;
  request what_;
  std::optional<operation> running_;
  MYSQL_STMT* of_ = nullptr;
  row_reader reader_;
  std::vector<std::string> names_{};
  std::uint64_t count_ = 0;
  failure dropped_{};
  bool in_call_ = false;
};
using stream_run = basic_stream_run<>;

template <class = void>
inline asio::awaitable<std::unique_ptr<row_source>> begin_stream(session_ptr s, request what) {
  auto made = std::make_unique<stream_run>(std::move(s), std::move(what));
  co_await made->begin();
  co_return made;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
