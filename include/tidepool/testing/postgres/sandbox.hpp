// SPDX-License-Identifier: BSL-1.0
// tidepool - a sandbox on a real database: whatever the code under test does there is rolled back at the end.
#ifndef TIDEPOOL_TESTING_POSTGRES_SANDBOX_HPP
#define TIDEPOOL_TESTING_POSTGRES_SANDBOX_HPP

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "../../postgres/connector.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "sandbox_relay.hpp"
#include "socket_folder.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// One transaction on a real server, which is never committed, and a local socket through which pools and connections work in it. They
/// are the real ones, of any number; they share the transaction, so one sees what another has done.
///
///     testing::sandbox box(postgres::options(url));
///     postgres::pool pool(io, box.connector(), config);
///     ...                                   // the handler
///     }                                     // the box ends: all is rolled back
///
/// What clients take for transactions are savepoints. COMMIT checks deferred constraints and keeps what was done until the sandbox ends;
/// ROLLBACK, and a statement that fails outside of a transaction, undo what they would undo. A client in a transaction has the server for
/// itself: the statements of others wait until it has ended. Where nothing happens in it for `patience` they fail, with 55P03: code that
/// needs a second connection in the middle of a transaction would wait for ever.
///
/// Not as on a server: isolation levels have no effect; `now()` stands still; sequences are not rolled back; no notification is sent;
/// PREPARE TRANSACTION is refused, and so is by the server what cannot run in a transaction (VACUUM, CREATE DATABASE, CREATE INDEX
/// CONCURRENTLY); session settings and temporary tables are shared by all clients.
///
/// A thread of its own serves it. Members may be called from any thread.
class sandbox {
 public:
  /// Connects, at once. Throws `postgres::connect_error`; std::invalid_argument where the connection is encrypted: use a local socket, or
  /// sslmode=disable. `patience` may be `no_limit`.
  explicit sandbox(tidepool::postgres::options settings, duration patience = std::chrono::seconds(5))
      : server_(connect(context_, std::move(settings))) {
    if (server_.encrypted()) throw std::invalid_argument("sandbox: the connection is encrypted: use a local socket, or sslmode=disable");
    listener_ = listen();
    if (::pipe(wake_) != 0) {
      ::close(listener_);
      throw system_error(errno, tidepool::detail::generic_category(), "sandbox");
    }
    for (const int each : {listener_, wake_[0], wake_[1]}) {
      (void)::fcntl(each, F_SETFD, FD_CLOEXEC);
      (void)::fcntl(each, F_SETFL, O_NONBLOCK);
    }
    relay_ = std::make_unique<detail::sandbox_relay>(server_.native(), listener_, wake_[0], patience);
    try {
      relay_->begin();
      thread_ = std::thread([this] { serve(); });
    } catch (...) {
      let_go();
      throw;
    }
  }
  sandbox(const sandbox&) = delete;
  sandbox& operator=(const sandbox&) = delete;
  /// Rolls all back. Connections that are still open are lost.
  ~sandbox() {
    relay_->stop();
    wake([this] { ends_ = true; });
    thread_.join();
    let_go();
  }

  /// For a pool.
  tidepool::postgres::connector connector() const { return {conninfo()}; }
  /// For options of your own.
  std::string conninfo() const { return "host=" + folder_.path() + " port=5432 user=sandbox dbname=sandbox"; }
  /// Rolls back all that was done so far, and goes on with a new transaction. Throws std::logic_error while a client is in a transaction,
  /// std::runtime_error when the server's session has ended.
  void start_over() {
    std::promise<void> done;
    auto ready = done.get_future();
    wake([&] {
      try {
        if (relay_->in_transaction()) throw std::logic_error("sandbox: a client is in a transaction: end it first");
        relay_->start_over();
        done.set_value();
      } catch (...) {
        done.set_exception(std::current_exception());
      }
    });
    ready.get();
  }

 private:
  static tidepool::postgres::connection connect(asio::io_context& context, tidepool::postgres::options settings) {
    tidepool::postgres::connection out;
    std::exception_ptr failure;
    asio::co_spawn(context, tidepool::postgres::connection::connect(std::move(settings)),
                   [&](std::exception_ptr e, tidepool::postgres::connection made) {
                     failure = e;
                     out = std::move(made);
                   });
    context.run();
    if (failure) std::rethrow_exception(failure);
    return out;
  }
  int listen() {
    const int made = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    std::strncpy(where.sun_path, folder_.socket().c_str(), sizeof where.sun_path - 1);
    if (made < 0 || ::bind(made, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 || ::listen(made, 64) != 0) {
      const int why = errno;
      if (made >= 0) ::close(made);
      throw system_error(why, tidepool::detail::generic_category(), "sandbox");
    }
    return made;
  }
  void serve() {
    while (!ends_) {
      relay_->serve();
      std::vector<std::function<void()>> due;
      {
        const std::lock_guard lock(mutex_);
        due.swap(jobs_);
      }
      for (const auto& each : due) each();
    }
  }
  void wake(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    (void)!::write(wake_[1], "", 1);
  }
  void let_go() noexcept {
    relay_.reset();
    ::close(listener_);
    ::close(wake_[0]);
    ::close(wake_[1]);
  }

  detail::socket_folder folder_;
  asio::io_context context_;  ///< the server's connection was made on it; nothing runs there any more
  tidepool::postgres::connection server_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::unique_ptr<detail::sandbox_relay> relay_;
  std::mutex mutex_;
  std::vector<std::function<void()>> jobs_;
  std::thread thread_;
  bool ends_ = false;  ///< read and written by the thread alone
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
