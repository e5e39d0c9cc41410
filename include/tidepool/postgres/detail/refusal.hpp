// SPDX-License-Identifier: BSL-1.0
// tidepool - recognises a host that is alive without a server: during a restart or a failover, or behind a proxy without one.
#ifndef TIDEPOOL_POSTGRES_DETAIL_REFUSAL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REFUSAL_HPP

#include <libpq-fe.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>

#include "../../error.hpp"
#include "../../version.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Tells a refusal from other failures of a connect before the server's first byte: `connect()` was refused, a local socket does not exist,
/// or the peer accepted the connection and closed it without sending a byte. A proxy without a server does the latter, and so does the
/// kernel with connections that a server which died had not accepted yet.
template <class = void>
class basic_refusal_check {
 public:
  /// Before each step.
  void look(session& s) noexcept {
    if (answered_ || PQstatus(s.pg()) == CONNECTION_STARTED) return;
    char first = 0;
    const auto got = ::recv(s.socket().native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    answered_ = got > 0;
    closed_ = got == 0 || (got < 0 && errno == ECONNRESET);
  }
  /// After a step that failed without an SQLSTATE, with libpq's text. Empty: it was no refusal.
  std::optional<failure_kind> kind(bool local, std::string_view words) const {
    if (answered_) return std::nullopt;
    // libpq reports a system error only by its message, in the user's language: compared with the same message here.
    const auto says = [words](generic_errc code) { return words.find(make_error_code(code).message()) != std::string_view::npos; };
    if (closed_ || says(generic_errc::connection_refused) || says(generic_errc::connection_reset) || says(generic_errc::broken_pipe)) {
      return failure_kind::refused;
    }
    if (local && says(generic_errc::no_such_file_or_directory)) return failure_kind::refused;
    // The queue of a local socket is full.
    if (local && says(generic_errc::resource_unavailable_try_again)) return failure_kind::server_full;
    return std::nullopt;
  }

 private:
  bool answered_ = false;
  bool closed_ = false;
};
using refusal_check = basic_refusal_check<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
