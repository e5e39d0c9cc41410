// SPDX-License-Identifier: BSL-1.0
// tidepool - a host that is alive while nobody serves there: between two servers, in a restart, behind a proxy without one.
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

/// Tells a refusal from other failures of a connect that came before the server's first byte: `connect()` was refused, a local socket is
/// not there, or the peer took the connection and ended it without a word, as a proxy does that has no server, and a kernel with what a
/// server that died had not accepted yet.
class refusal_check {
 public:
  /// Before each step.
  void look(session& s) noexcept {
    if (heard_ || PQstatus(s.pg()) == CONNECTION_STARTED) return;
    char first = 0;
    const auto got = ::recv(s.socket().native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    heard_ = got > 0;
    hung_up_ = got == 0 || (got < 0 && errno == ECONNRESET);
  }
  /// After a step that failed without an SQLSTATE, with libpq's words. Nothing: it was no refusal.
  std::optional<failure_kind> kind(bool local, std::string_view words) const {
    if (heard_) return std::nullopt;
    // libpq tells an error of the system by these words, in the user's language, and in no other way.
    const auto says = [words](std::errc code) { return words.find(std::make_error_code(code).message()) != std::string_view::npos; };
    if (hung_up_ || says(std::errc::connection_refused) || says(std::errc::connection_reset) || says(std::errc::broken_pipe)) {
      return failure_kind::refused;
    }
    if (local && says(std::errc::no_such_file_or_directory)) return failure_kind::refused;
    // The queue of a local socket is full.
    if (local && says(std::errc::resource_unavailable_try_again)) return failure_kind::server_full;
    return std::nullopt;
  }

 private:
  bool heard_ = false;
  bool hung_up_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
