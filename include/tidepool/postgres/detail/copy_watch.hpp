// SPDX-License-Identifier: BSL-1.0
// tidepool - finds out whether the server has refused a COPY while its data is still being sent.
// libpq reports an error only after the end of the data, and has no call that tells that one has arrived. So the received bytes are
// looked at before libpq reads them.
#ifndef TIDEPOOL_POSTGRES_DETAIL_COPY_WATCH_HPP
#define TIDEPOOL_POSTGRES_DETAIL_COPY_WATCH_HPP

#include <dlfcn.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "waiting.hpp"

// See tls_pending.hpp.
#if defined(__APPLE__)
extern "C" int tidepool_ssl_peek(void* tls, void* to, int size) __asm__("_SSL_peek") __attribute__((weak_import));
#else
extern "C" int tidepool_ssl_peek(void* tls, void* to, int size) __asm__("SSL_peek") __attribute__((weak));
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using ssl_peek_function = int (*)(void*, void*, int);

template <class = void>
inline ssl_peek_function find_ssl_peek() noexcept {
  static const ssl_peek_function found = []() -> ssl_peek_function {
    if (&tidepool_ssl_peek != nullptr) return &tidepool_ssl_peek;
    return reinterpret_cast<ssl_peek_function>(::dlsym(RTLD_DEFAULT, "SSL_peek"));
  }();
  return found;
}

/// What a received piece holds.
enum class copy_answer { nothing, error, perhaps };

/// Looks for the head of an ErrorResponse; `perhaps`: the piece ends within one. The piece need not begin at a message: strings of the
/// protocol hold no zero byte, so no other message that may come here (notice, notification, parameter) contains the same bytes.
template <class = void>
inline copy_answer look_for_error(std::string_view seen) noexcept {
  for (auto at = seen.find('E'); at != std::string_view::npos; at = seen.find('E', at + 1)) {
    auto rest = seen.substr(at + 1);
    // Takes one expected byte or text; what is cut off counts as expected.
    const auto eat = [&rest](std::string_view expected) {
      const auto size = rest.size() < expected.size() ? rest.size() : expected.size();
      const bool same = rest.substr(0, size) == expected.substr(0, size);
      rest.remove_prefix(size);
      return same;
    };
    using namespace std::string_view_literals;
    if (!eat("\0\0"sv)) continue;  // of its length
    rest.remove_prefix(rest.size() < 2 ? rest.size() : 2);
    if (!eat("S")) continue;
    const auto end = rest.find('\0');  // the severity in the server's language
    const auto severity = rest.substr(0, end);
    if (severity.size() > 40) continue;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const auto after = rest;
    bool like_one = false;
    for (const auto word : {"VERROR\0C"sv, "VFATAL\0C"sv, "VPANIC\0C"sv}) {
      rest = after;
      like_one = like_one || eat(word);
    }
    if (!like_one && (severity == "ERROR" || severity == "FATAL")) {  // a pooler's, with one severity only
      rest = after;
      like_one = eat("C") && (rest.remove_prefix(rest.size() < 5 ? rest.size() : 5), eat("\0M"sv));
    }
    if (!like_one) continue;
    // It was complete only if all that was expected was there.
    return seen.size() - at >= 5 + 1 + severity.size() + 1 + 8 ? copy_answer::error : copy_answer::perhaps;
  }
  return copy_answer::nothing;
}

/// The state of a COPY to the server.
template <class = void>
class basic_copy_watch {
 public:
  enum class look { room, full, refused };

  /// Looks at the socket without waiting, and lets libpq read what is not an error. One system call when nothing has arrived.
  look at(session& s) {
    pollfd ready{s.socket().native_handle(), POLLIN | POLLOUT, 0};
    const int count = ::poll(&ready, 1, 0);
    const bool readable = count > 0 && (ready.revents & ~POLLOUT) != 0;
    if (readable || tls_pending(s.pg())) {
      std::array<char, 4096> few;
      std::string_view piece(few.data(), peek(s, few.data(), few.size()));
      // As much as libpq may read now: an error may stand behind many notices.
      if (piece.size() == few.size()) {
        many_.resize(std::size_t{128} << 10U);
        piece = std::string_view(many_.data(), peek(s, many_.data(), many_.size()));
      }
      const auto answer = look_for_error(piece);
      if (answer == copy_answer::error) return look::refused;
      // The rest of what may be an error is waited for, once.
      const bool wait = answer == copy_answer::perhaps && piece.size() != undecided_;
      undecided_ = wait ? piece.size() : 0;
      if (!wait && PQconsumeInput(s.pg()) == 0) {
        read_final_error(s);
        throw s.lost("while copying");
      }
      s.take_notifications();
    }
    return count > 0 && (ready.revents & POLLOUT) != 0 ? look::room : look::full;
  }

 private:
  static std::size_t peek(session& s, char* to, std::size_t size) noexcept {
    if (PQgssEncInUse(s.pg()) == 1) return 0;
    if (PQsslInUse(s.pg()) == 0) {
      const auto got = ::recv(s.socket().native_handle(), to, size, MSG_PEEK | MSG_DONTWAIT);
      return got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    void* const tls = PQsslStruct(s.pg(), "OpenSSL");
    const ssl_peek_function function = find_ssl_peek();
    const int got = tls == nullptr || function == nullptr ? 0 : function(tls, to, static_cast<int>(size));
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }

  std::size_t undecided_ = 0;
  std::string many_;
};
using copy_watch = basic_copy_watch<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
