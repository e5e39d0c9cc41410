// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement whose rows are read chunk by chunk.
#ifndef TIDEPOOL_SQLITE_DETAIL_STREAM_RUN_HPP
#define TIDEPOOL_SQLITE_DETAIL_STREAM_RUN_HPP

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "../stream.hpp"
#include "execute.hpp"
#include "operation.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

inline constexpr std::size_t stream_rows = 512;          ///< of one chunk
inline constexpr std::size_t stream_bytes = 256 * 1024;  ///< at most so many of texts and blobs before a chunk is full

/// What a fetch needs; it keeps this alive, because the stream may be destroyed.
template <class = void>
struct basic_streamed {
  basic_streamed(session_ptr s, request&& asked) : on(std::move(s)), what(std::move(asked)) {}
  basic_streamed(const basic_streamed&) = delete;
  basic_streamed& operator=(const basic_streamed&) = delete;
  ~basic_streamed() {
    if (!statement) return;
    // SQLite's calls are for its threads: reset() does this.
    on->needs_reset = true;
    on->statements.leave(std::move(statement));
  }

  session_ptr on;
  request what;
  std::optional<operation> running{};
  kept_statement statement{};
  bool begun = false;
};
using streamed = basic_streamed<>;

template <class = void>
class basic_stream_run final : public row_source {
 public:
  basic_stream_run(session_ptr s, request&& what) : state_(std::make_shared<streamed>(std::move(s), std::move(what))) {
    state_->running.emplace(*state_->on);
    if (state_->on->traced) state_->running->trace(tidepool::detail::driver::tag_of(state_->what.sql), state_->what.from);
  }

  asio::awaitable<void> fetch() override { return fetch(*this, state_); }
  asio::awaitable<void> close() override { return close(*this, state_); }

 private:
  static asio::awaitable<void> fetch(basic_stream_run& self, std::shared_ptr<streamed> state) {
    if (!state->running) throw error(errc::bad_usage, "this stream has ended by an error");
    auto next = std::make_unique<kept_rows>();
    name_origin(*state->on, state->what, *next);
    if (self.rows) next->before = self.rows->before + self.rows->count;
    bool more = true;
    const auto body = [&] {
      session& s = *state->on;
      if (!state->begun) {
        state->begun = true;
        state->statement = statement_of(s, state->what);
        bind_all(s, state->statement, state->what);
      }
      while (more && next->count < stream_rows && next->bytes.size() < stream_bytes) {
        more = step(s, state->statement, state->what, *next);
      }
      if (!more) give_back(s, std::move(state->statement));
    };
    std::exception_ptr failure;
    try {
      co_await hop_to(state->on, body, state->what.limit);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      end(self, *state);
      std::rethrow_exception(failure);
    }
    self.at = 0;
    self.rows = std::move(next);
    if (!more) end(self, *state);
  }
  static asio::awaitable<void> close(basic_stream_run& self, std::shared_ptr<streamed> state) {
    self.rows.reset();
    self.at = 0;
    if (!self.open) co_return;
    const auto body = [&] {
      if (state->statement) give_back(*state->on, std::move(state->statement));
    };
    std::exception_ptr failure;
    try {
      co_await hop_to(state->on, body, no_limit);
    } catch (...) {
      failure = std::current_exception();
    }
    end(self, *state);
    if (failure) std::rethrow_exception(failure);
  }
  /// No operation runs any more. A reset after a failure, or of a step that was stopped, does no work.
  static void end(basic_stream_run& self, streamed& state) noexcept {
    self.open = false;
    if (state.statement) {
      state.on->statements.drop(state.statement);
      state.statement.handle.reset();
    }
    state.running.reset();
  }

  std::shared_ptr<streamed> state_;
};
using stream_run = basic_stream_run<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
