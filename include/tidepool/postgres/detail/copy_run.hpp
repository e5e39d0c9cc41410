// SPDX-License-Identifier: BSL-1.0
// tidepool - a COPY that runs, in either direction.
#ifndef TIDEPOOL_POSTGRES_DETAIL_COPY_RUN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_COPY_RUN_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/util/owning_ptr.hpp"
#include "../../version.hpp"
#include "../copy.hpp"
#include "copy_watch.hpp"
#include "drain.hpp"
#include "operation.hpp"
#include "perform.hpp"
#include "second.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class = void>
class basic_copy_in_run final : public copy_sink {
 public:
  using base = copy_sink;

  basic_copy_in_run(session_ptr s, std::unique_ptr<statement_run> running, bool plain_text)
      : copy_sink(plain_text), session_(std::move(s)), running_(std::move(running)) {}

  void refuse_beside_another() override { const one_call only(in_call_, "a copy_in()"); }
  asio::awaitable<void> send_block() override {
    if (running_ && buffer.size() < copy_block && !in_call_) co_return;
    const one_call only(in_call_, "a copy_in()");
    co_await pass_on(copy_block);
  }
  asio::awaitable<std::uint64_t> finish() override {
    const one_call only(in_call_, "a copy_in()");
    co_return co_await end(nullptr);
  }
  asio::awaitable<void> abort() override {
    const one_call only(in_call_, "a copy_in()");
    bool refused = false;
    buffer.clear();
    try {
      (void)co_await end("given up");
    } catch (const error& failure) {
      if (failure.reason() != errc::server) throw;
      refused = true;  // by `abort()`, or by the server before
    }
    if (!refused) throw error(errc::bad_usage, "the server took a COPY that was given up");
  }

 private:
  /// How much is sent at once: with its header, one piece of libpq's.
  static constexpr std::size_t piece_size = 8192 - 5;

  asio::awaitable<void> pass_on(std::size_t limit) {
    if (!running_) throw error(errc::bad_usage, "the COPY has ended: begin another one with copy_in()");
    if (buffer.size() < limit) co_return;
    std::string_view rest = buffer;
    while (!rest.empty()) {
      // libpq would take everything into memory, and read and keep an error without telling when the socket is full. So the socket is
      // looked at first.
      co_await room();
      const auto piece = rest.substr(0, piece_size);
      int left = PQputCopyData(session_->pg(), piece.data(), static_cast<int>(piece.size())) == 1 ? PQflush(session_->pg()) : -1;
      while (left > 0) {
        co_await room();
        left = PQflush(session_->pg());
      }
      if (left < 0) {
        read_final_error(*session_);
        throw session_->lost("while copying");
      }
      rest.remove_prefix(piece.size());
    }
    buffer.clear();
    // A server that takes everything at once would keep the event loop from serving others.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await tidepool::detail::give_way();
    co_await interrupted(session_, error_code(), throws);
    if (session_->limits.stop()) co_await stopped();
  }
  /// Waits until the socket takes more. Throws the server's error when that comes first.
  asio::awaitable<void> room() {
    for (;;) {
      const auto seen = watch_.at(*session_);
      if (seen == copy_watch::look::room) co_return;
      if (seen == copy_watch::look::refused) {
        buffer.clear();
        (void)co_await end("refused by the server");
        throw error(errc::bad_usage, "the COPY was given up");
      }
      co_await wait_watched(session_, true);
      if (session_->limits.stop()) co_await stopped();
    }
  }
  asio::awaitable<std::uint64_t> end(const char* reason) {
    co_await pass_on(1);
    if (PQputCopyEnd(session_->pg(), reason) != 1) throw session_->lost("while copying");
    co_await flush(session_);
    outcome all;
    const std::optional<std::uint64_t> rows = co_await take_the_rest(session_, all);
    running_->finished();
    const auto ended = std::exchange(running_, nullptr);  // holds the statement, which errors name
    if (session_->limits.stop()) {
      (void)co_await conclude_stopped(session_, all);
    } else {
      (void)all.conclude(*session_);
    }
    if (!rows) throw session_->lost("by an answer that is none to COPY");
    co_return *rows;
  }
  /// Ends the COPY in the middle of the data: none of it is taken.
  asio::awaitable<void> stopped() {
    co_await drain_stopped(session_, *running_);
    running_.reset();
    throw_stopped(*session_, *session_->limits.stop(), {});
  }

  session_ptr session_;
  std::unique_ptr<statement_run> running_;
  bool in_call_ = false;
  copy_watch watch_;
};
using copy_in_run = basic_copy_in_run<>;

template <class = void>
class basic_copy_out_run final : public copy_source {
 public:
  using base = copy_source;

  basic_copy_out_run(session_ptr s, std::unique_ptr<statement_run> running, bool plain_text)
      : copy_source(plain_text, s->settings().statement_in_errors), session_(std::move(s)), running_(std::move(running)) {}

  asio::awaitable<std::optional<std::string_view>> next() override {
    const one_call only(in_call_, "a copy_out()");
    data_.reset();
    while (running_) {
      char* raw = nullptr;
      const int size = PQgetCopyData(session_->pg(), &raw, 1);
      data_.reset(raw);
      if (size > 0) session_->note_size(static_cast<std::size_t>(size));
      if (size > 0 && session_->limits.stop()) continue;  // being stopped: rows are dropped
      if (size > 0) co_return std::string_view(raw, static_cast<std::size_t>(size));
      if (size == 0) {
        co_await receive(session_);
        continue;
      }
      co_await conclude();
    }
    co_return std::nullopt;
  }
  asio::awaitable<void> close() override {
    const one_call only(in_call_, "a copy_out()");
    data_.reset();
    if (!running_) co_return;
    co_await cancel_and_drain(session_, *running_);
    running_.reset();
  }

 private:
  struct free_data {
    void operator()(char* data) const noexcept { PQfreemem(data); }
  };
  asio::awaitable<void> conclude() {
    outcome all;
    (void)co_await take_the_rest(session_, all);
    running_->finished();
    const auto ended = std::exchange(running_, nullptr);  // holds the statement, which errors name
    if (session_->limits.stop()) {
      (void)co_await conclude_stopped(session_, all);
      throw_stopped(*session_, *session_->limits.stop(), {});  // it has ended by itself, but rows were dropped
    }
    (void)all.conclude(*session_);
  }

  session_ptr session_;
  std::unique_ptr<statement_run> running_;
  bool in_call_ = false;
  std::unique_ptr<char, free_data> data_;
};
using copy_out_run = basic_copy_out_run<>;

/// A text that does not begin with a COPY of the wanted direction is refused before anything is sent.
template <class = void>
inline void require_copy_text(const session& s, const request& what, ExecStatusType wanted) {
  const auto kind = copy_kind_of(what.sql());
  const bool in = wanted == PGRES_COPY_IN;
  if (kind == copy_kind::unclear || kind == (in ? copy_kind::from_client : copy_kind::to_client)) return;
  if (kind == copy_kind::from_client) refuse_request(s, what, "COPY ... FROM STDIN needs copy_in(), not copy_out(): nothing was sent");
  if (kind == copy_kind::to_client) refuse_request(s, what, "COPY ... TO STDOUT needs copy_out(), not copy_in(): nothing was sent");
  refuse_request(s, what,
                 in ? "copy_in() takes COPY ... FROM STDIN, and the text does not begin with it: nothing was sent; use exec()"
                    : "copy_out() takes COPY ... TO STDOUT, and the text does not begin with it: nothing was sent; use exec()");
}

/// Starts a COPY of the wanted direction; anything else is an error after which the connection stays usable.
template <class End, class Run>
asio::awaitable<End> open_copy(session_ptr s, request what, ExecStatusType wanted) {
  require_copy_text(*s, what, wanted);
  const char* const verb = wanted == PGRES_COPY_IN ? "copy_in()" : "copy_out()";
  if (is_held_up(*s)) co_await make_way(s, verb, what.limit);
  auto running = std::make_unique<statement_run>(*s, verb, std::move(what));
  put_request(*s, *running, running->what);
  const int unsent = PQflush(s->pg());
  if (unsent != 0) co_await flush(s);
  outcome all;
  bool first = true;
  for (;;) {
    result_handle got = co_await next_result(s);
    if (!got) break;
    if (first && PQresultStatus(got.get()) == wanted && !s->limits.stop()) {
      running->hold();
      const bool plain = copies_plain_text(running->what.sql());
      co_return End(tidepool::detail::owning_ptr<typename Run::base>(new Run(std::move(s), std::move(running), plain)));
    }
    first = false;
    const bool stopped = s->limits.stop().has_value() && is_copy(PQresultStatus(got.get()));
    const bool taken = stopped || all.take(*s, std::move(got));
    if (stopped || !taken) {
      if (!stopped) all.refuse();
      co_await refuse_copy(s);
    }
  }
  running->finished();
  if (s->limits.stop()) {
    (void)co_await conclude_stopped(s, all);
    throw_stopped(*s, *s->limits.stop(), {});
  }
  (void)all.conclude(*s);
  throw error(errc::bad_usage, "the statement is no COPY of this direction; it was run all the same");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
