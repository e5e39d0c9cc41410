// SPDX-License-Identifier: BSL-1.0
// tidepool - where a server of the testing kit listens.
#ifndef TIDEPOOL_TESTING_POSTGRES_SOCKET_FOLDER_HPP
#define TIDEPOOL_TESTING_POSTGRES_SOCKET_FOLDER_HPP

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "../../detail/util/error_code.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// A folder of its own for the socket, removed at the end.
class socket_folder {
 public:
  socket_folder() {
    const char* wanted = std::getenv("TMPDIR");
    std::string folder = wanted == nullptr ? "" : wanted;
    if (folder.empty() || folder.size() > 60) folder = "/tmp";  // an address of a local socket has about 100 bytes
    path_ = folder + "/tidepool-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) throw system_error(errno, tidepool::detail::generic_category(), "a folder for a socket");
  }
  socket_folder(const socket_folder&) = delete;
  socket_folder& operator=(const socket_folder&) = delete;
  ~socket_folder() {
    ::unlink(socket().c_str());
    ::rmdir(path_.c_str());
  }
  const std::string& path() const noexcept { return path_; }
  std::string socket() const { return path_ + "/.s.PGSQL.5432"; }

 private:
  std::string path_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
