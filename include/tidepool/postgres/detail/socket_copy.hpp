// SPDX-License-Identifier: BSL-1.0
// tidepool - a duplicate of libpq's socket, for Asio.
//
// libpq closes and re-opens its socket behind our back, often under the same number. Asio therefore watches a duplicate,
// which libpq cannot close, and whether both still mean the same socket is told by the inode.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SOCKET_COPY_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SOCKET_COPY_HPP

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "../../detail/driver/asio_io.hpp"
#include "../../version.hpp"
#include "socket_shutdown.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

class socket_copy {
 public:
  /// Follows libpq to its present socket, and the switch with it; cheap when it is still the same. Returns errno, or 0.
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
