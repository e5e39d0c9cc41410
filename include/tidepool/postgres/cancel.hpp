// SPDX-License-Identifier: BSL-1.0
// tidepool - cancel requests: asks the server to stop a statement.
//
// libpq 17 and newer can do that asynchronously. Older ones have only a blocking call, which can take minutes. It is also needed for a
// connection that is destroyed, because that has no event loop any more. A few threads make it (see cancel_dispatcher), and no caller waits
// for it longer than its limit.
#ifndef TIDEPOOL_POSTGRES_CANCEL_HPP
#define TIDEPOOL_POSTGRES_CANCEL_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "../detail/driver/asio_io.hpp"
#include "../detail/driver/gate.hpp"
#include "../time.hpp"
#include "../version.hpp"
#include "detail/cancel_dispatcher.hpp"
#include "detail/real_time.hpp"
#include "detail/socket_copy.hpp"
#include "detail/socket_shutdown.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// Shared by a connection and its cancellers. Thread safe.
struct cancel_record {
  std::atomic<std::uint64_t> activity{0};  ///< odd while an operation runs
  std::atomic<int> in_flight{0};           ///< requests that may still reach the server
  std::atomic<int> bodies{0};              ///< transactions and savepoints whose body runs
};

/// One request counted in `in_flight`: from before it is sent until the server has received it, or never will.
class cancel_mark {
 public:
  explicit cancel_mark(std::shared_ptr<cancel_record> record) noexcept : record_(std::move(record)) {
    if (record_ != nullptr) record_->in_flight.fetch_add(1);
  }
  cancel_mark(cancel_mark&& other) noexcept : record_(std::move(other.record_)) {}
  cancel_mark& operator=(cancel_mark&&) = delete;
  ~cancel_mark() { clear(); }

  /// For a request that must not hit the next holder; nothing when the operation has ended. It may hit the next statement of the same
  /// lease. Here `in_flight` is raised and then `activity` is read; at the end of a lease `activity` was changed and then `in_flight` is
  /// read. All four are sequentially consistent, so they have one order: either the end of the operation is seen here, and nothing is sent,
  /// or the mark is seen there, and the connection is not used again.
  static std::optional<cancel_mark> while_runs(std::uint64_t operation, std::shared_ptr<cancel_record> record) noexcept {
    std::optional<cancel_mark> out(std::in_place, std::move(record));
    if (out->record_->activity.load() != operation) out.reset();
    return out;
  }
  void clear() noexcept {
    if (const auto record = std::move(record_)) record->in_flight.fetch_sub(1);
  }
  /// It may still reach the server at any time: it stays counted, and the connection is not used again.
  void keep() noexcept { record_.reset(); }

 private:
  std::shared_ptr<cancel_record> record_;
};

/// All that is needed to cancel the statement of one connection. Made on the connection's thread, sent from any other.
class cancel_request {
  const std::string server_;

 public:
  explicit cancel_request(PGconn* of) : server_(where(of)), raw_(create(of)) {}
  cancel_request(const cancel_request&) = delete;
  cancel_request& operator=(const cancel_request&) = delete;
  /// Host, address and port: requests to the same server fail together.
  const std::string& server() const noexcept { return server_; }
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  ~cancel_request() { PQcancelFinish(raw_); }
  /// libpq sends one request at a time per object: null while another one is being sent. Ended by `end()`.
  PGcancelConn* begin() noexcept { return raw_ == nullptr || sending_.exchange(true) ? nullptr : raw_; }
  void end() noexcept {
    PQcancelReset(raw_);
    sending_ = false;
  }
  /// Blocks. Encrypted as the connection is.
  bool send() noexcept {
    if (begin() == nullptr) return false;
    const bool taken = PQcancelBlocking(raw_) == 1;
    end();
    return taken;
  }

 private:
  static PGcancelConn* create(PGconn* of) { return PQcancelCreate(of); }
  std::atomic<bool> sending_{false};
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
  static std::string where(PGconn* of) {
    std::string out;
    for (const char* part : {PQhost(of), PQhostaddr(of), PQport(of)}) out.append(part == nullptr ? "" : part).append(" ");
    return out;
  }
};
using cancel_handle = std::shared_ptr<cancel_request>;

/// Sends the request on a thread; given up when it has not begun by `until`. Null when the queue is full. `done` is called with whether the
/// server took the request; it must not throw.
template <class Done>
std::shared_ptr<cancel_job> cancel_on_thread(cancel_handle what, cancel_mark mark, clock::time_point until, Done done) {
  if (what == nullptr) return nullptr;
  const auto held = std::make_shared<cancel_mark>(std::move(mark));
  const std::string server = what->server();
  const auto send = [what = std::move(what), held]() mutable noexcept {
    const bool taken = what->send();
    what.reset();
    held->clear();
    return taken;
  };
  auto job = std::make_shared<cancel_job>(server, until, send, std::move(done));
  if (!cancel_dispatcher::instance().submit(job)) job.reset();
  return job;
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL
/// A request being sent on the event loop. One that is destroyed before its end counts as one that may still reach the server.
class cancel_attempt {
 public:
  cancel_attempt(cancel_handle what, cancel_mark mark) noexcept
      : what_(std::move(what)), mark_(std::move(mark)), raw_(what_ == nullptr ? nullptr : what_->begin()) {}
  cancel_attempt(const cancel_attempt&) = delete;
  cancel_attempt& operator=(const cancel_attempt&) = delete;
  ~cancel_attempt() {
    if (raw_ == nullptr) return;
    socket.drop(*shutdown);
    what_->end();
    if (!settled_) mark_.keep();
  }
  PGcancelConn* raw() const noexcept { return raw_; }
  /// The server has received it, or never will.
  void settled() noexcept { settled_ = true; }

  std::shared_ptr<socket_shutdown> shutdown = std::make_shared<socket_shutdown>();
  socket_copy socket;

 private:
  cancel_handle what_;
  cancel_mark mark_;
  PGcancelConn* raw_;
  bool settled_ = false;
};

/// True when the server has taken the request; it shows that by closing the request's connection.
inline asio::awaitable<bool> cancel_here(cancel_handle what, cancel_mark mark, duration limit) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  cancel_attempt attempt(std::move(what), std::move(mark));
  if (attempt.raw() == nullptr) co_return false;
  deadline_guard guard(executor, limit, attempt.shutdown);
  bool going = PQcancelStart(attempt.raw()) == 1;
  auto step = PGRES_POLLING_WRITING;
  while (going) {
    const int unwatched = attempt.socket.follow(PQcancelSocket(attempt.raw()), executor, *attempt.shutdown);
    if (unwatched != 0 || !attempt.socket) break;
    const auto direction =
        step == PGRES_POLLING_WRITING ? asio::posix::stream_descriptor::wait_write : asio::posix::stream_descriptor::wait_read;
    error_code failure;
    co_await attempt.socket.get().async_wait(direction, asio::redirect_error(tidepool::detail::await_token, failure));
    if (failure == asio::error::operation_aborted) throw system_error(failure);
    step = PQcancelPoll(attempt.raw());
    going = step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED;
  }
  const bool in_time = guard.disarm();
  if (in_time) attempt.settled();
  co_return in_time&& step == PGRES_POLLING_OK;
}
#endif

inline void cancel_in_background(PGconn* what) noexcept {
  try {
    (void)cancel_on_thread(std::make_shared<cancel_request>(what), cancel_mark(nullptr), clock::now() + std::chrono::seconds(15),
                           [](bool) noexcept {});
  } catch (...) {
    // No memory: no request is sent, and the statement runs to its end on the server.
  }
}

}  // namespace detail

/// Stops the statement that a connection runs. Get one from `connection::canceller()`; copies are cheap and may be used on any
/// thread, also after the connection is gone (then nothing happens). The stopped statement fails with SQLSTATE 57014.
/// It belongs to the connection, not to the lease: one that is used after the lease stops the next holder's statement.
///
/// A connection whose request is still under way when its lease ends is closed, because the request could hit the next holder.
class canceller {
 public:
  canceller() = default;
  canceller(detail::cancel_handle handle, std::shared_ptr<detail::cancel_record> record, duration limit)
      : handle_(std::move(handle)), record_(std::move(record)), limit_(limit) {}

  /// Sends one request. True when the server has taken it. It may have had no effect all the same: the statement had ended already, or not
  /// yet begun. False when it could not be sent within `options::cancel_timeout`. Completes on the caller's executor. Throws only when the
  /// caller is cancelled.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<bool> cancel() const { return send(handle_, detail::cancel_mark(record_), limit_); }

  /// Sends requests, with growing pauses, until the operation that runs now has ended or `limit` is over. True when it has ended, or none
  /// was running. One request is not always enough: one that comes before the server has begun the statement has no effect. One that comes
  /// late may stop the next statement of the same lease.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<bool> stop(duration limit = std::chrono::seconds(5)) const {
    return repeat(*this, limit);
  }

 private:
  static asio::awaitable<bool> repeat(canceller self, duration limit) {
    if (!self.record_) co_return true;
    const auto running = self.record_->activity.load();
    if (running % 2 == 0) co_return true;
    const auto until = detail::clock::now() + std::min<duration>(limit, std::chrono::hours(24));
    detail::real_timer timer(co_await asio::this_coro::executor);
    std::chrono::milliseconds pause(2);
    while (detail::clock::now() < until) {
      auto mark = detail::cancel_mark::while_runs(running, self.record_);
      if (!mark) break;
      // A request that the server does not take must not take longer than all together may.
      const auto left = std::max<duration>(until - detail::clock::now(), std::chrono::milliseconds(1));
      auto request = send(self.handle_, std::move(*mark), std::min(self.limit_, left));
      (void)co_await std::move(request);
      // The answer of the statement itself takes a little longer.
      for (int look = 0; look < 10 && self.record_->activity.load() == running; ++look) {
        timer.expires_after(pause / 10 + std::chrono::milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
      }
      pause = std::min(pause * 4, std::chrono::milliseconds(800));
    }
    co_return self.record_->activity.load() != running;
  }
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  static asio::awaitable<bool> send(detail::cancel_handle handle, detail::cancel_mark mark, duration limit) {
    return detail::cancel_here(std::move(handle), std::move(mark), limit);
  }
#else
  struct outcome {
    std::atomic<bool> taken{false};
  };
  static asio::awaitable<bool> send(detail::cancel_handle handle, detail::cancel_mark mark, duration limit) {
    const auto done = std::make_shared<outcome>();
    std::weak_ptr<tidepool::detail::gate> waiting;
    detail::real_timer timer(co_await asio::this_coro::executor);
    {
      // The timer's handler keeps the gate alive; the thread does not (see gate).
      const auto gate = std::make_shared<tidepool::detail::gate>();
      waiting = gate;
      timer.expires_after(limit);
      timer.async_wait([gate](error_code) { gate->open(); });
    }
    const auto until = detail::later(detail::clock::now(), limit);
    const auto job = detail::cancel_on_thread(handle, std::move(mark), until, [done, waiting](bool taken) noexcept {
      done->taken = taken;
      if (const auto gate = waiting.lock()) gate->open();
    });
    if (!job) co_return false;
    co_await tidepool::detail::gate::wait(waiting);
    job->give_up();
    co_return done->taken.load();
  }
#endif

  detail::cancel_handle handle_;
  std::shared_ptr<detail::cancel_record> record_;
  duration limit_ = std::chrono::milliseconds(500);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
