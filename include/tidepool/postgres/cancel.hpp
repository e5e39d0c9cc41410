// tidepool - asking the server to stop a statement.
//
// The blocking call of libpq runs on a thread of its own, never on one that serves the event loop, and nobody waits for it
// longer than he wants to: it can hang for minutes, and a connection that is destroyed has no event loop to cancel on.
#ifndef TIDEPOOL_POSTGRES_CANCEL_HPP
#define TIDEPOOL_POSTGRES_CANCEL_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "../detail/asio_io.hpp"
#include "../detail/first_of.hpp"
#include "../time.hpp"
#include "detail/side_thread.hpp"

namespace tidepool::postgres {
namespace detail {

/// What a connection and its cancellers know of each other, from any thread.
struct cancel_record {
  std::atomic<std::uint64_t> activity{0};  ///< odd while an operation runs
  std::atomic<int> in_flight{0};           ///< requests that may still reach the server
};

/// What it takes to cancel what one connection runs; made on the connection's thread, sent from any other.
class cancel_request {
 public:
  explicit cancel_request(PGconn* of) : raw_(create(of)) {}
  cancel_request(const cancel_request&) = delete;
  cancel_request& operator=(const cancel_request&) = delete;
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  ~cancel_request() { PQcancelFinish(raw_); }
  /// Blocks. Encrypted as the connection is.
  bool send() noexcept {
    if (raw_ == nullptr) return false;
    const std::lock_guard lock(mutex_);  // one request at a time per object
    PQcancelReset(raw_);
    return PQcancelBlocking(raw_) == 1;
  }

 private:
  static PGcancelConn* create(PGconn* of) { return PQcancelCreate(of); }
  std::mutex mutex_;
  PGcancelConn* raw_;
#else
  ~cancel_request() { PQfreeCancel(raw_); }
  /// Blocks. Never encrypted before libpq 17.
  bool send() noexcept {
    std::array<char, 256> why{};
    return raw_ != nullptr && PQcancel(raw_, why.data(), static_cast<int>(why.size())) == 1;
  }

 private:
  static PGcancel* create(PGconn* of) { return PQgetCancel(of); }
  PGcancel* raw_;
#endif
};
using cancel_handle = std::shared_ptr<cancel_request>;

/// Cancels that may be under way at once in this process; more are refused: a dead host can hold each for minutes.
inline constexpr int most_cancels = 16;
inline std::atomic<int>& cancels_running() noexcept {
  static std::atomic<int> count{0};
  return count;
}

/// False when no thread could be had. `done` gets whether the server took the request; it must not throw.
template <class Done>
bool cancel_on_thread(cancel_handle what, std::shared_ptr<cancel_record> record, Done done) noexcept {
  if (what == nullptr) return false;
  if (cancels_running().fetch_add(1) >= most_cancels) {
    cancels_running().fetch_sub(1);
    return false;
  }
  record->in_flight.fetch_add(1);
  const bool started = on_side_thread([what = std::move(what), record, done = std::move(done)]() mutable noexcept {
    const bool taken = what->send();
    what.reset();
    record->in_flight.fetch_sub(1);
    cancels_running().fetch_sub(1);
    done(taken);
  });
  if (!started) {
    record->in_flight.fetch_sub(1);
    cancels_running().fetch_sub(1);
  }
  return started;
}

inline void cancel_in_background(PGconn* what) noexcept {
  try {
    (void)cancel_on_thread(std::make_shared<cancel_request>(what), std::make_shared<cancel_record>(), [](bool) noexcept {});
  } catch (...) {
    // No memory: the statement runs to its end on the server.
  }
}

}  // namespace detail

/// Stops what a connection is running. Get one from `connection::canceller()`; copies are cheap and may be used on any
/// thread, also after the connection is gone (then nothing happens). The stopped statement fails with SQLSTATE 57014.
///
/// A connection whose request is still under way when its lease ends is closed: the request could hit the next holder.
class canceller {
 public:
  canceller() = default;
  canceller(detail::cancel_handle handle, std::shared_ptr<detail::cancel_record> record, duration limit)
      : handle_(std::move(handle)), record_(std::move(record)), limit_(limit) {}

  /// Sends one request. True when the server has taken it, which says nothing about its effect: the server may have finished
  /// meanwhile, or not yet begun. False when it could not be sent within the `cancel_timeout` of the options. Completes on the
  /// caller's executor; never throws but when cancelled.
  asio::awaitable<bool> cancel() const { return send(handle_, record_, limit_); }

  /// Sends requests, with growing pauses, until the operation that runs now has ended or `limit` is over: a request that comes
  /// before the server has begun the statement is lost. True when it has ended, or none was running.
  asio::awaitable<bool> stop(duration limit = std::chrono::seconds(5)) const { return repeat(*this, limit); }

 private:
  struct outcome {
    std::atomic<bool> taken{false};
  };
  static asio::awaitable<bool> repeat(canceller self, duration limit) {
    if (!self.record_) co_return true;
    const auto running = self.record_->activity.load();
    if (running % 2 == 0) co_return true;
    const auto until = std::chrono::steady_clock::now() + std::min<duration>(limit, std::chrono::hours(24));
    asio::steady_timer timer(co_await asio::this_coro::executor);
    std::chrono::milliseconds pause(2);
    while (self.record_->activity.load() == running && std::chrono::steady_clock::now() < until) {
      (void)co_await self.cancel();
      // The answer of the statement itself needs a moment.
      for (int look = 0; look < 10 && self.record_->activity.load() == running; ++look) {
        timer.expires_after(pause / 10 + std::chrono::milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
      }
      pause = std::min(pause * 4, std::chrono::milliseconds(800));
    }
    co_return self.record_->activity.load() != running;
  }
  static asio::awaitable<bool> send(detail::cancel_handle handle, std::shared_ptr<detail::cancel_record> record, duration limit) {
    const auto done = std::make_shared<outcome>();
    std::weak_ptr<tidepool::detail::gate> waiting;
    asio::steady_timer timer(co_await asio::this_coro::executor);
    {
      // The timer's handler keeps the gate alive; the thread does not (see gate).
      const auto gate = std::make_shared<tidepool::detail::gate>();
      waiting = gate;
      timer.expires_after(limit);
      timer.async_wait([gate](error_code) { gate->open(); });
    }
    const bool started = detail::cancel_on_thread(handle, record, [done, waiting](bool taken) noexcept {
      done->taken = taken;
      if (const auto gate = waiting.lock()) gate->open();
    });
    if (!started) co_return false;
    co_await tidepool::detail::gate::wait(waiting);
    co_return done->taken.load();
  }

  detail::cancel_handle handle_;
  std::shared_ptr<detail::cancel_record> record_;
  duration limit_ = std::chrono::milliseconds(500);
};

}  // namespace tidepool::postgres

#endif
