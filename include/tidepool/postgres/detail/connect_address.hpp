// SPDX-License-Identifier: BSL-1.0
// tidepool - one attempt at one address: connecting, login, first query, and the error that names the step that failed.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CONNECT_ADDRESS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CONNECT_ADDRESS_HPP

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "conninfo.hpp"
#include "login.hpp"
#include "refusal.hpp"
#include "setup.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// What libpq is given for one connect besides the address, with credentials. Secrets are wiped by the destructor.
template <class = void>
class basic_login_parameters {
 public:
  basic_login_parameters(const basic_login_parameters&) = delete;
  basic_login_parameters(basic_login_parameters&&) = default;
  basic_login_parameters& operator=(const basic_login_parameters&) = delete;
  basic_login_parameters& operator=(basic_login_parameters&&) = delete;
  ~basic_login_parameters() {
    for (auto& [name, value] : values_) {
      if (is_secret(name)) wipe(value);
    }
  }

  /// `application`: the `application_name` where the options have none.
  static asio::awaitable<basic_login_parameters> make(std::shared_ptr<const options> settings, std::string application) {
    basic_login_parameters login(settings->values_);
    login.values_.emplace("fallback_application_name", application.empty() ? std::string("tidepool") : std::move(application));
    if (settings->credential_provider) {
      const credentials now = co_await settings->credential_provider();
      if (now.user.find('\0') != std::string::npos || now.password.find('\0') != std::string::npos) {
        throw connect_error(errc::bad_options, "the credential provider returned a NUL byte");
      }
      if (!now.user.empty()) login.values_.insert_or_assign("user", now.user);
      if (!now.password.empty()) login.values_.insert_or_assign("password", now.password);
    }
    co_return login;
  }

  /// The parameters for one server at one address; `address` is empty for a local socket.
  std::vector<std::pair<const char*, const char*>> parameters(const endpoint& host, const std::string& address) const {
    std::vector<std::pair<const char*, const char*>> out;
    for (const auto& [name, value] : values_) {
      // The choice between servers is made here, so libpq gets one of them. Its connect_timeout has no effect on asynchronous calls.
      if (name == "host" || name == "hostaddr" || name == "port" || name == "target_session_attrs" || name == "load_balance_hosts" ||
          name == "service" || name == "connect_timeout") {
        continue;
      }
      out.emplace_back(name.c_str(), value.c_str());
    }
    out.emplace_back("target_session_attrs", "any");
    if (!host.host.empty()) out.emplace_back("host", host.host.c_str());
    if (!address.empty()) out.emplace_back("hostaddr", address.c_str());
    if (!host.port.empty()) out.emplace_back("port", host.port.c_str());
    if (asks_for_tls(address)) out.emplace_back("sslmode", "require");
    return out;
  }
  PGconn* start(const endpoint& host, const std::string& address) const {
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const auto& [name, value] : parameters(host, address)) {
      names.push_back(name);
      values.push_back(value);
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    return PQconnectStartParams(names.data(), values.data(), 0);
  }

  /// What to do about a refusal of TLS that the options did not ask for by name.
  std::string tls_advice(const std::string& address) const {
    if (!asks_for_tls(address)) return {};
    return "no sslmode was given, and tidepool then requires TLS of a server on another machine: set up TLS there, or say sslmode=disable";
  }
  /// What to do about a refusal of the login: what was not given has a default that may be a surprise.
  std::string login_advice(std::string_view state) const {
    if (state == "3D000" && !values_.contains("dbname")) return "no dbname was given, so it is the user's name: say dbname=";
    if (state == "28000" && !values_.contains("user")) return "no user was given, so it is the one of the operating system: say user=";
    if (state == "28P01" && !values_.contains("password")) return "the password is that of the password file";
    return {};
  }
  /// The same where nothing answers.
  std::string address_advice() const {
    if (values_.contains("host") || values_.contains("hostaddr")) return "is the server running, and are host and port right?";
    return "no host was given, so it is the local socket: is the variable that holds the connection string set? Or say host=, or set "
           "PGHOST";
  }
  /// libpq's text without secrets.
  std::string clean(std::string text) const {
    for (const auto& [name, value] : values_) {
      if (is_secret(name)) text = redact(std::move(text), value);
    }
    return text;
  }

 private:
  explicit basic_login_parameters(option_map values) : values_(std::move(values)) {}
  /// libpq's default, `prefer`, goes on without encryption when an attacker on the way says that the server has none.
  bool asks_for_tls(const std::string& address) const {
    error_code unknown;
    return !address.empty() && !values_.contains("sslmode") && !asio::ip::make_address(address, unknown).is_loopback();
  }
  option_map values_;
};
using login_parameters = basic_login_parameters<>;

/// "... FATAL:  28P01: password authentication failed ...": verbose messages carry the SQLSTATE, in every language.
template <class = void>
inline diagnosis diagnose_connect(std::string_view message) {
  diagnosis said;
  const auto line = first_line(message);
  for (auto at = line.find(":  "); at != std::string_view::npos; at = line.find(":  ", at + 1)) {
    const auto code = line.substr(at + 3, 5);
    const bool is_code = code.size() == 5 && line.substr(at + 8, 2) == ": " &&
                         std::all_of(code.begin(), code.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
    if (!is_code) continue;
    said.sqlstate = code;
    said.severity = "FATAL";
    said.message = line.substr(at + 10);
    return said;
  }
  said.message = line;
  return said;
}

/// One address of one server.
template <class = void>
struct basic_target {
  endpoint host;
  std::string address;  ///< numeric; empty for a local socket

  /// "10.0.0.7:5432 (db1)".
  std::string text() const {
    if (address.empty()) return host.text();
    const std::string port = host.port.empty() ? std::string("5432") : printable(host.port, 8);
    const bool v6 = address.find(':') != std::string::npos;
    std::string out = (v6 ? "[" + printable(address, 80) + "]" : printable(address, 80)) + ":" + port;
    if (!host.host.empty() && host.host != address) out += " (" + printable(host.host, 80) + ")";
    return out;
  }
};
using target = basic_target<>;

template <class = void>
inline clock::time_point deadline_of(duration limit) {
  return clock::now() + std::chrono::duration_cast<clock::duration>(std::min<duration>(limit, std::chrono::hours(24)));
}

/// What the server has not answered yet at this step of a connect.
template <class = void>
inline const char* unanswered(PGconn* connection, bool local) noexcept {
  switch (PQstatus(connection)) {
    case CONNECTION_STARTED: return local ? "the socket does not accept" : "no answer to the TCP handshake";
    case CONNECTION_SSL_STARTUP: return "connected, but TLS was not agreed upon";
    case CONNECTION_AUTH_OK: return "logged in, but no session began";
    case CONNECTION_OK: return "logged in, but no answer to the first query";
    default: return "connected, but no answer to the login";
  }
}

/// libpq's text about a failed connect without the address, which the error names already.
template <class = void>
inline std::string_view without_address(std::string_view message) {
  constexpr std::string_view before = "connection to server";
  constexpr std::string_view after = " failed: ";
  const auto at = message.starts_with(before) ? message.find(after) : std::string_view::npos;
  return at == std::string_view::npos ? message : message.substr(at + after.size());
}

/// See live_session.hpp.
template <class = void>
inline session_ptr make_session(asio::any_io_executor executor, std::shared_ptr<const options> settings);

/// One attempt at one address: connecting, login and the first query, all within `limit`. Notes whether the server is of the wanted kind.
template <class Lazy = void>
inline asio::awaitable<session_ptr> connect_to_address(asio::any_io_executor executor, std::shared_ptr<const options> settings,
                                                       const login_parameters& login, const target& where, duration limit) {
  auto s = make_session(executor, settings);
  PGconn* const started = login.start(where.host, where.address);
  if (started == nullptr) throw std::bad_alloc();
  s->adopt(started);
  s->peer = where.text();
  tls_refusal_check tls;
  refusal_check refusal;
  const char* owed = unanswered(started, where.host.local());
  const auto failed = [&](diagnosis said) {
    if (s->shutdown->reason() == shutdown_reason::deadline) {
      return connect_error(errc::connect_timeout, s->peer + ": " + owed + " within " + seconds_text(limit));
    }
    if (said.sqlstate.empty() && !s->fatal.sqlstate.empty()) said = s->fatal;
    if (said.sqlstate.empty() && tls.refused(*s, where.host.host, said.message)) {
      said.advice = login.tls_advice(where.address);
      return connect_error(errc::tls_refused, s->peer, std::move(said));
    }
    if (said.sqlstate.empty()) {
      if (const auto kind = refusal.kind(where.host.local(), said.message)) {
        if (*kind == failure_kind::refused) said.advice = login.address_advice();
        return connect_error(errc::connect_failed, s->peer, std::move(said), *kind);
      }
    }
    const bool needs_password = PQconnectionNeedsPassword(started) == 1;
    if (needs_password) {
      said.message = "the server asks for a password, and none was given";
      said.advice = "say password=, set PGPASSWORD, or add a line to the password file (~/.pgpass)";
    } else {
      said.advice = login.login_advice(said.sqlstate);
    }
    return connect_error(errc::connect_failed, s->peer, std::move(said), needs_password);
  };
  const auto login_failed = [&] {
    auto said = diagnose_connect(login.clean(PQerrorMessage(started)));
    said.message = std::string(without_address(said.message));
    return failed(std::move(said));
  };
  if (PQstatus(started) == CONNECTION_BAD) throw login_failed();
  const auto until = deadline_of(limit);
  deadline_guard guard(executor, limit, s->shutdown);
  s->follow_socket();
  // No poll before the socket is writable: libpq would take an unfinished connect for a failure.
  for (auto step = PGRES_POLLING_WRITING;;) {
    if (!s->has_socket()) throw login_failed();
    owed = unanswered(started, where.host.local());
    error_code failure;
    if (!(step == PGRES_POLLING_READING && tls_pending(started))) {
      co_await s->template async_wait<Lazy>(step == PGRES_POLLING_WRITING ? wait_type::wait_write : wait_type::wait_read, failure);
    }
    if (failure == asio::error::operation_aborted) throw system_error(failure);
    tls.look(*s);
    refusal.look(*s);
    if (may_compute(started)) {
      step = co_await poll_on_thread(s, executor, until);
    } else {
      step = PQconnectPoll(started);
    }
    if (step == PGRES_POLLING_FAILED || s->shutdown->reason() != shutdown_reason::none) throw login_failed();
    s->follow_socket();
    if (step == PGRES_POLLING_OK) break;
  }
  owed = unanswered(started, where.host.local());
  if (const auto why = blind_to_tls(started); !why.empty()) throw connect_error(errc::connect_failed, s->peer + ": " + why, {}, true);
  s->settled();
  if (PQsetnonblocking(started, 1) != 0) throw login_failed();
  s->last_answer = clock::real_now();
  if (encoding_turned_unsafe(*s)) throw connect_error(errc::bad_options, s->peer + ": " + unsafe_encoding_text(*s));
  std::unique_ptr<error> unserved;
  try {
    const auto role = co_await set_up(s);
    s->standby = role.standby;
    s->wrong_role = !role.fits(settings->target());
  } catch (const connect_error&) {
    throw;
  } catch (const error& failure) {
    unserved = std::make_unique<error>(failure);
  }
  if (unserved) {
    diagnosis said;
    said.sqlstate = unserved->sqlstate();
    said.severity = unserved->severity();
    said.message = unserved->message();
    if (said.message.empty()) said.message = std::string(unserved->explanation());
    throw failed(std::move(said));
  }
  if (!guard.disarm() || s->shutdown->reason() != shutdown_reason::none) throw failed({});
  s->limits.connected();
  s->touched = false;
  co_return s;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
