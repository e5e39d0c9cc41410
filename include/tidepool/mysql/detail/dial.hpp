// SPDX-License-Identifier: BSL-1.0
// tidepool - one attempt at one address: connecting, TLS and login, and the error that names the step that failed.
#ifndef TIDEPOOL_MYSQL_DETAIL_DIAL_HPP
#define TIDEPOOL_MYSQL_DETAIL_DIAL_HPP

#include <fcntl.h>
#include <mysql.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "perform.hpp"
#include "thread_step.hpp"
#include "tls_refusal.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Who logs in. The secret is wiped by the destructor.
template <class = void>
struct basic_login {
  basic_login() = default;
  basic_login(const basic_login&) = delete;
  basic_login(basic_login&&) noexcept = default;
  basic_login& operator=(const basic_login&) = delete;
  basic_login& operator=(basic_login&&) = delete;
  ~basic_login() { tidepool::detail::wipe(password); }

  static asio::awaitable<basic_login> of(std::shared_ptr<const options> settings) {
    basic_login made;
    made.user = settings->user;
    made.password = settings->password;
    if (settings->credential_provider) {
      const credentials now = co_await settings->credential_provider();
      if (now.user.find('\0') != std::string::npos || now.password.find('\0') != std::string::npos) {
        throw connect_error(errc::bad_options, "the credential provider returned a NUL byte");
      }
      if (!now.user.empty()) made.user = now.user;
      if (!now.password.empty()) made.password = now.password;
    }
    co_return made;
  }

  std::string user{}, password{};
};
using login = basic_login<>;

/// The server's first packet, before the client library has taken it: whether it offers TLS, and the error where it is one. The library
/// would go on without encryption where a server, or somebody on the way, says that it has none.
struct greeting {
  bool whole = false;
  bool closed = false;  ///< the peer closed without a byte
  bool cut = false;     ///< the peer closed in the middle of it
  bool tls = false;
  unsigned error = 0;
};
template <class = void>
inline greeting look_at_greeting(int descriptor) noexcept {
  greeting out;
#ifdef POLLRDHUP
  pollfd look{descriptor, POLLRDHUP, 0};
#else
  pollfd look{descriptor, POLLHUP, 0};
#endif
  const bool ended = ::poll(&look, 1, 0) == 1;  // asked first: what came before its end is here by then
  std::array<unsigned char, 512> bytes;
  const auto got = ::recv(descriptor, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  out.closed = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got < 7) {
    out.cut = ended && !out.closed;
    out.whole = out.closed || out.cut;
    return out;
  }
  const auto size = static_cast<std::size_t>(got);
  const auto payload = bytes[0] | static_cast<std::size_t>(bytes[1]) << 8U | static_cast<std::size_t>(bytes[2]) << 16U;
  if (bytes[4] == 0xFF) {
    out.error = bytes[5] | static_cast<unsigned>(bytes[6]) << 8U;
    out.whole = true;
    return out;
  }
  const auto end = std::find(bytes.begin() + 5, bytes.begin() + got, 0);
  const auto flags = static_cast<std::size_t>(end - bytes.begin()) + 1 + 4 + 8 + 1;  // behind number, scramble and a zero
  const bool inside = flags + 2 <= 4 + payload;  // what the library reads; behind it the flags would be somebody else's
  out.cut = ended && inside && flags + 2 > size;
  out.whole = out.cut || !inside || flags + 2 <= size || size == bytes.size();  // the last is no server's
  out.tls = inside && flags + 2 <= size && (bytes[flags + 1] & 0x08U) != 0;
  return out;
}

/// Waits for the whole of it, or until the socket is shut. One that comes in pieces is looked for every millisecond: what is left unread
/// wakes no waiter again.
template <class Lazy = void>
inline asio::awaitable<greeting> await_greeting(session_ptr s) {
  error_code failed;
  co_await s->template async_wait<Lazy>(wait_type::wait_read, failed);
  if (failed == asio::error::operation_aborted) throw system_error(failed);
  greeting seen = look_at_greeting(s->socket().native_handle());
  real_timer timer(s->executor());
  while (!seen.whole && s->shutdown->reason() == shutdown_reason::none) {
    timer.expires_after(std::chrono::milliseconds(1));
    co_await tidepool::detail::await_timer(timer);
    seen = look_at_greeting(s->socket().native_handle());
  }
  // A socket that was shut here looks like one that the peer has closed.
  co_return s->shutdown->reason() == shutdown_reason::none ? seen : greeting();
}

/// A socket that could not be connected. Leaves the error for the client library.
template <class = void>
inline bool has_error(int descriptor) noexcept {
  pollfd look{descriptor, POLLOUT, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLERR) != 0;
}

template <class = void>
inline bool is_loopback(const target& where) {
  error_code unknown;
  return where.host.local() || asio::ip::make_address(where.address, unknown).is_loopback();
}
template <class = void>
inline mysql::ssl_mode mode_for(const options& settings, const target& where) {
  if (settings.ssl_mode != mysql::ssl_mode::automatic) return settings.ssl_mode;
  return is_loopback(where) ? mysql::ssl_mode::disabled : mysql::ssl_mode::required;
}

/// The library's number for what MARIADB_OPT_RESTRICTED_AUTH leaves out.
inline constexpr unsigned refused_plugin = 5010;

/// For `LOAD DATA LOCAL`: no file is read, whatever the server asks for.
extern "C" {
inline int tidepool_mysql_no_file(void**, const char*, void*) { return 1; }
inline int tidepool_mysql_no_bytes(void*, char*, unsigned) { return -1; }
inline void tidepool_mysql_no_end(void*) {}
inline int tidepool_mysql_no_file_error(void*, char* text, unsigned size) {
  constexpr std::string_view words = "LOAD DATA LOCAL is refused by the client: options::local_infile";
  const auto length = size == 0 ? 0U : std::min<std::size_t>(words.size(), size - 1);
  words.copy(text, length);
  if (size != 0) text[length] = '\0';
  return 2068;
}
}

template <class = void>
inline void set_options(MYSQL* my, const options& settings, mysql::ssl_mode mode) {
  const auto text = [my](mysql_option which, const std::string& value) {
    if (!value.empty()) mysql_optionsv(my, which, value.c_str());
  };
  std::size_t stack = settings.stack_bytes;
  if (mysql_optionsv(my, MYSQL_OPT_NONBLOCK, &stack) != 0) throw std::bad_alloc();
  const my_bool off = 0, on = 1;
  mysql_optionsv(my, MYSQL_OPT_RECONNECT, &off);
  mysql_optionsv(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_optionsv(my, MYSQL_REPORT_DATA_TRUNCATION, &off);
  const unsigned files = settings.local_infile ? 1 : 0;
  mysql_optionsv(my, MYSQL_OPT_LOCAL_INFILE, &files);
  if (!settings.local_infile) {
    mysql_set_local_infile_handler(my, &tidepool_mysql_no_file, &tidepool_mysql_no_bytes, &tidepool_mysql_no_end,
                                   &tidepool_mysql_no_file_error, nullptr);
  }
  // Without those that send a password as it is.
  mysql_optionsv(my, MARIADB_OPT_RESTRICTED_AUTH, "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,parsec");
  if (settings.utc) mysql_optionsv(my, MYSQL_INIT_COMMAND, "set time_zone = '+00:00'");
  const bool tls = mode != mysql::ssl_mode::disabled;
  mysql_optionsv(my, MYSQL_OPT_SSL_ENFORCE, tls ? &on : &off);
  mysql_optionsv(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, mode == mysql::ssl_mode::verify_full ? &on : &off);
  if (!tls) return;
  text(MYSQL_OPT_SSL_CA, settings.ssl_ca);
  text(MYSQL_OPT_SSL_CAPATH, settings.ssl_capath);
  text(MYSQL_OPT_SSL_CERT, settings.ssl_cert);
  text(MYSQL_OPT_SSL_KEY, settings.ssl_key);
  text(MYSQL_OPT_SSL_CIPHER, settings.ssl_cipher);
  text(MARIADB_OPT_TLS_VERSION, settings.tls_version);
}

/// So that a server that vanished is noticed within half a minute.
template <class = void>
inline void keep_alive(int descriptor) noexcept {
#ifdef __linux__
  const auto set = [descriptor](int option, int value) { ::setsockopt(descriptor, IPPROTO_TCP, option, &value, sizeof value); };
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  set(TCP_KEEPIDLE, 15);
  set(TCP_KEEPINTVL, 5);
  set(TCP_KEEPCNT, 3);
  set(TCP_USER_TIMEOUT, 15'000);
#else
  (void)descriptor;
#endif
}

/// See live_session.hpp.
template <class = void>
inline session_ptr make_session(asio::any_io_executor executor, std::shared_ptr<const options> settings);

template <class = void>
inline void start_library() {
  static std::once_flag once;
  std::call_once(once, [] { (void)mysql_library_init(0, nullptr, nullptr); });
}

/// One attempt at one address, within `limit`.
template <class Lazy = void>
inline asio::awaitable<session_ptr> dial(asio::any_io_executor executor, std::shared_ptr<const options> settings, const login& as,
                                         const target& where, duration limit) {
  start_library();
  auto s = make_session(executor, settings);
  s->where = where;
  s->peer = where.text();
  MYSQL* const my = mysql_init(nullptr);
  if (my == nullptr) throw std::bad_alloc();
  s->adopt(my);
  const auto mode = mode_for(*settings, where);
  set_options(my, *settings, mode);
  // The library verifies the certificate for the host it was given, which it takes from here a second time when it has the greeting: then
  // the name stands where the address was.
  std::vector<char> host(std::max(where.host.host.size(), where.address.size()) + 1);
  where.address.copy(host.data(), where.address.size());
  const bool local = where.host.local();
  const unsigned protocol = local ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  mysql_optionsv(my, MYSQL_OPT_PROTOCOL, &protocol);
  unsigned long flags = CLIENT_MULTI_RESULTS;
  if (settings->found_rows) flags |= CLIENT_FOUND_ROWS;

  const auto until = later(clock::now(), limit);
  deadline_guard guard(executor, limit, s->shutdown);
  const call_guard ended(*s);
  greeting first;
  const char* owed = local ? "the socket does not accept" : "no answer to the TCP handshake";
  bool greeted = false;
  int status = s->start(
      [&] {
        return mysql_real_connect_start(&s->opened, my, local ? nullptr : host.data(), as.user.c_str(), as.password.c_str(),
                                        settings->database.empty() ? nullptr : settings->database.c_str(), local ? 0 : where.host.port,
                                        local ? where.host.host.c_str() : nullptr, flags);
      },
      [](session& on, int events) { return mysql_real_connect_cont(&on.opened, on.my(), events); });
  if (status != 0 && !local) {
    std::fill(host.begin(), host.end(), '\0');
    where.host.host.copy(host.data(), where.host.host.size());
  }
  bool no_descriptor = false, no_tls = false;
  while (status != 0) {
    const bool followed = s->follow_socket();
    if (!followed || !s->has_socket()) {
      no_descriptor = !followed;
      s->abandon();
      break;
    }
    error_code failed;
    const bool sending = (status & MYSQL_WAIT_WRITE) != 0;
    co_await s->template async_wait<Lazy>(sending ? wait_type::wait_write : wait_type::wait_read, failed);
    if (failed == asio::error::operation_aborted) throw system_error(failed);
    const bool refused = sending && has_error(s->socket().native_handle());
    if (!greeted && !refused && s->shutdown->reason() == shutdown_reason::none) {
      // Connected. The library would read the greeting and answer it in one step.
      owed = "connected, but no greeting of a server";
      first = co_await await_greeting(s);
      greeted = first.whole;
      no_tls = first.whole && !first.closed && !first.cut && first.error == 0 && !first.tls && mode != mysql::ssl_mode::disabled;
      if (no_tls) {
        s->abandon();
        break;
      }
      if (greeted) owed = "connected, but no answer to the login";
    }
    if (s->shutdown->reason() != shutdown_reason::none) {
      s->abandon();
      break;
    }
    const int events = status & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
    if (greeted && mode != mysql::ssl_mode::disabled) {
      status = co_await go_on_thread(s, events, until);
    } else {
      status = s->go_on(events);
    }
  }
  const bool late = !guard.disarm() || s->shutdown->reason() == shutdown_reason::deadline;
  if (late) throw connect_error(errc::connect_timeout, s->peer + ": " + owed + " within " + seconds_text(limit));
  if (no_descriptor) throw connect_error(errc::connect_failed, s->peer + ": no file descriptor is left");
  if (no_tls) {
    diagnosis said;
    said.advice = settings->ssl_mode == mysql::ssl_mode::automatic
                      ? "no ssl_mode was given, and tidepool then requires TLS of a server on another machine: set up TLS there, or say "
                        "ssl-mode=disabled"
                      : "set up TLS there";
    throw connect_error(errc::tls_refused, s->peer + ": the server has no TLS, which ssl_mode asks for", std::move(said));
  }
  if (s->opened == nullptr || s->broken) {
    auto said = s->failure_now().said;
    // An error before the login is one of the library's own, in its words.
    if (first.error != 0) said.number = first.error;
    const int system = system_error_in(said.message);
    const bool unread = !greeted || first.closed;
    if (said.number == 2026) {
      if (refuses_tls(*settings, mode, said.message)) throw connect_error(errc::tls_refused, s->peer, std::move(said));
      if (hides_the_reason(*settings, mode, said.message)) said.message = "the TLS handshake failed, the client library does not say why";
    }
    if (unread && said.number >= 2000) {
      if (system == EAGAIN && local) throw connect_error(errc::connect_failed, s->peer, std::move(said), failure_kind::server_full);
      if (first.closed || system == ECONNREFUSED || system == ECONNRESET || (local && system == ENOENT)) {
        said.advice = "is the server running, and are host and port right?";
        throw connect_error(errc::connect_failed, s->peer, std::move(said), failure_kind::refused);
      }
    }
    // The library's text for it has bytes of its buffer in the place of the name.
    if (said.number == refused_plugin) said.message = "the server asks for a way to log in that is not allowed";
    if (said.number == 2059 || said.number == 2061 || said.number == refused_plugin) {
      said.advice =
          "the server asks for a way to log in that this client does not have, or that is refused because it sends the password as it is";
    }
    throw connect_error(errc::connect_failed, s->peer, std::move(said));
  }
  if (!s->follow_socket() || !s->has_socket()) throw connect_error(errc::connect_failed, s->peer + ": no file descriptor is left");
  // With TLS the library leaves it blocking, and OpenSSL reads from it without a flag that says otherwise: the event loop would stand
  // still.
  const int descriptor = s->socket().native_handle();
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  s->encrypted = mysql_get_ssl_cipher(my) != nullptr;
  if (mode != mysql::ssl_mode::disabled && !s->encrypted) {
    s->broken = true;
    throw connect_error(errc::tls_refused, s->peer + ": the session is not encrypted, which ssl_mode asks for");
  }
  if (!local) keep_alive(s->socket().native_handle());
  s->thread_id = mysql_thread_id(my);
  s->note_answer();
  s->connected = true;
  co_return s;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
