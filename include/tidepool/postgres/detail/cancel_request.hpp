// SPDX-License-Identifier: BSL-1.0
// tidepool - cancel requests: asks the server to stop a statement.
//
// libpq 17 and newer can do that asynchronously. Older ones have only a blocking call, which can take minutes. It is also needed for a
// connection that is destroyed, because that has no event loop any more. A few threads make it (see cancel_dispatcher), and no caller waits
// for it longer than its limit.
// Before the guard: cancel.hpp includes this file where its own declarations are complete.
#include "../cancel.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_CANCEL_REQUEST_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CANCEL_REQUEST_HPP

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

#include "../../detail/driver/asio_io.hpp"
#include "../../detail/driver/gate.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "cancel_dispatcher.hpp"
#include "real_time.hpp"
#include "socket_copy.hpp"
#include "socket_shutdown.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Shared by a connection and its cancellers. Thread safe.
struct cancel_record {
  std::atomic<std::uint64_t> activity{0};  ///< odd while an operation runs
  std::atomic<int> in_flight{0};           ///< requests that may still reach the server
  std::atomic<int> bodies{0};              ///< transactions and savepoints whose body runs
};

/// One request counted in `in_flight`: from before it is sent until the server has received it, or never will.
template <class>
class basic_cancel_mark {
 public:
  explicit basic_cancel_mark(std::shared_ptr<cancel_record> record) noexcept : record_(std::move(record)) {
    if (record_ != nullptr) record_->in_flight.fetch_add(1);
  }
  basic_cancel_mark(basic_cancel_mark&& other) noexcept : record_(std::move(other.record_)) {}
  basic_cancel_mark& operator=(basic_cancel_mark&&) = delete;
  ~basic_cancel_mark() { clear(); }

  /// For a request that must not hit the next holder; nothing when the operation has ended. It may hit the next statement of the same
  /// lease. Here `in_flight` is raised and then `activity` is read; at the end of a lease `activity` was changed and then `in_flight` is
  /// read. All four are sequentially consistent, so they have one order: either the end of the operation is seen here, and nothing is sent,
  /// or the mark is seen there, and the connection is not used again.
  static std::optional<basic_cancel_mark> while_runs(std::uint64_t operation, std::shared_ptr<cancel_record> record) noexcept {
    std::optional<basic_cancel_mark> out(std::in_place, std::move(record));
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
template <class>
class basic_cancel_request {
  const std::string server_;

 public:
  explicit basic_cancel_request(PGconn* of) : server_(where(of)), raw_(create(of)) {}
  basic_cancel_request(const basic_cancel_request&) = delete;
  basic_cancel_request& operator=(const basic_cancel_request&) = delete;
  /// Host, address and port: requests to the same server fail together.
  const std::string& server() const noexcept { return server_; }
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  ~basic_cancel_request() { PQcancelFinish(raw_); }
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
  ~basic_cancel_request() { PQfreeCancel(raw_); }
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
template <class = void>
class basic_cancel_attempt {
 public:
  basic_cancel_attempt(cancel_handle what, cancel_mark mark) noexcept
      : what_(std::move(what)), mark_(std::move(mark)), raw_(what_ == nullptr ? nullptr : what_->begin()) {}
  basic_cancel_attempt(const basic_cancel_attempt&) = delete;
  basic_cancel_attempt& operator=(const basic_cancel_attempt&) = delete;
  ~basic_cancel_attempt() {
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
using cancel_attempt = basic_cancel_attempt<>;

/// True when the server has taken the request; it shows that by closing the request's connection.
template <class = void>
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
    co_await tidepool::detail::await_socket(attempt.socket.get(), direction, failure);
    if (failure == asio::error::operation_aborted) throw system_error(failure);
    step = PQcancelPoll(attempt.raw());
    going = step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED;
  }
  const bool in_time = guard.disarm();
  if (in_time) attempt.settled();
  co_return in_time&& step == PGRES_POLLING_OK;
}
template <class = void>
inline asio::awaitable<bool> send_cancel(cancel_handle handle, cancel_mark mark, duration limit) {
  return cancel_here(std::move(handle), std::move(mark), limit);
}
#else
/// Whether the server has taken a request.
struct cancel_answer {
  std::atomic<bool> taken{false};
};
template <class = void>
inline asio::awaitable<bool> send_cancel(cancel_handle handle, cancel_mark mark, duration limit) {
  const auto done = std::make_shared<cancel_answer>();
  std::weak_ptr<tidepool::detail::gate> waiting;
  std::shared_ptr<tidepool::detail::gate_opener> opener;
  real_timer timer(co_await asio::this_coro::executor);
  {
    // The timer's handler keeps the gate alive; the thread does not (see gate).
    const auto keeper = std::make_shared<tidepool::detail::gate_keeper>();
    waiting = keeper->waiting();
    opener = keeper->opener();
    timer.expires_after(limit);
    timer.async_wait([keeper](error_code) { keeper->open(); });
  }
  const auto until = later(clock::now(), limit);
  const auto job = cancel_on_thread(handle, std::move(mark), until, [done, opener](bool taken) noexcept {
    done->taken = taken;
    opener->open();
  });
  if (!job) co_return false;
  co_await tidepool::detail::gate::wait(waiting);
  job->give_up();
  co_return done->taken.load();
}
#endif

template <class = void>
inline void cancel_in_background(PGconn* what) noexcept {
  try {
    (void)cancel_on_thread(std::make_shared<cancel_request>(what), cancel_mark(nullptr), clock::now() + std::chrono::seconds(15),
                           [](bool) noexcept {});
  } catch (...) {
    // No memory: no request is sent, and the statement runs to its end on the server.
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
