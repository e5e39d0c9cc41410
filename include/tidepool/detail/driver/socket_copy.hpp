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

#include "../../version.hpp"
#include "asio_io.hpp"
#include "socket_shutdown.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// The duplicate that Asio watches.
template <class = void>
class basic_socket_copy {
 public:
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
  }
  explicit operator bool() const noexcept { return copy_.has_value(); }
  asio::posix::stream_descriptor& get() noexcept { return *copy_; }

 private:
  std::optional<asio::posix::stream_descriptor> copy_;
  ino_t inode_ = 0;
};
using socket_copy = basic_socket_copy<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
