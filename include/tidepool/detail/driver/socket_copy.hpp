// SPDX-License-Identifier: BSL-1.0
// tidepool - a duplicate of libpq's socket, for Asio.
// libpq may close its socket and open another one during a connect, often with the same number. So Asio watches a duplicate, which libpq
// cannot close, and the inode tells whether both still mean the same socket.
#ifndef TIDEPOOL_DETAIL_DRIVER_SOCKET_COPY_HPP
#define TIDEPOOL_DETAIL_DRIVER_SOCKET_COPY_HPP

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "asio_io.hpp"
#include "socket_shutdown.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// The duplicate that Asio watches.
template <class = void>
class basic_socket_copy {
 public:
  using wait_type = asio::posix::stream_descriptor::wait_type;

  basic_socket_copy() = default;
  basic_socket_copy(const basic_socket_copy&) = delete;
  basic_socket_copy& operator=(const basic_socket_copy&) = delete;
  ~basic_socket_copy() {
    if (unwatched_ >= 0) ::close(unwatched_);
  }

  /// Makes a duplicate of the socket that libpq uses now, also for `shutdown`; cheap when it is still the same. Returns errno, or 0.
  int follow(int theirs, const asio::any_io_executor& executor, socket_shutdown& shutdown) {
    struct stat now {};
    if (theirs < 0 || ::fstat(theirs, &now) != 0) return 0;
    if (copy_ && now.st_ino == inode_) return 0;
    drop(shutdown);
    const int ours = ::fcntl(theirs, F_DUPFD_CLOEXEC, 0);
    if (ours < 0) return errno;
    try {
      copy_.emplace(executor, ours);
    } catch (...) {
      ::close(ours);
      throw;
    }
    inode_ = now.st_ino;
    shutdown.watch(ours);
    return 0;
  }
  void drop(socket_shutdown& shutdown) noexcept {
    shutdown.watch(-1);
    copy_.reset();
    watches_writing_ = false;
    if (unwatched_ >= 0) ::close(std::exchange(unwatched_, -1));
  }
  explicit operator bool() const noexcept { return copy_.has_value(); }
  asio::posix::stream_descriptor& get() noexcept { return *copy_; }
  /// For one wait, while nothing else waits. After a wait for writing Asio's reactor watches for that until the descriptor is registered
  /// anew: each wait for reading would wake the thread once for nothing, as a socket can nearly always be written. So the next wait for
  /// reading registers it anew.
  asio::posix::stream_descriptor& get(wait_type direction) noexcept {
    if (direction == wait_type::wait_write) {
      watches_writing_ = true;
    } else if (watches_writing_) {
      register_anew();
    }
    return *copy_;
  }

 private:
  TIDEPOOL_NOINLINE void register_anew() noexcept {
    watches_writing_ = false;
    int ours = -1;
    error_code failure;
    try {
      ours = copy_->release();
      copy_->assign(ours, failure);
    } catch (...) {
      failure = asio::error::no_memory;
    }
    if (!failure || ours < 0) return;
    // No wait succeeds any more, and the session sees the end of the connection. The number stays taken: others know the descriptor by it.
    ::shutdown(ours, SHUT_RDWR);
    unwatched_ = ours;
  }

  std::optional<asio::posix::stream_descriptor> copy_;
  ino_t inode_ = 0;
  int unwatched_ = -1;            ///< a descriptor that could not be registered anew
  bool watches_writing_ = false;  ///< Asio's reactor does
};
using socket_copy = basic_socket_copy<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
