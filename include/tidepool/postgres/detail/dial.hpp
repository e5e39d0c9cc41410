// tidepool - one name looked up, one address dialled.
#ifndef TIDEPOOL_POSTGRES_DETAIL_DIAL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_DIAL_HPP

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "login.hpp"
#include "setup.hpp"

namespace tidepool::postgres::detail {

/// Everything libpq is told for one connect besides the address, credentials included. Wiped when it goes.
class dial_plan {
 public:
  dial_plan(const dial_plan&) = delete;
  dial_plan(dial_plan&&) = default;
  dial_plan& operator=(const dial_plan&) = delete;
  dial_plan& operator=(dial_plan&&) = delete;
  ~dial_plan() {
    for (auto& [name, value] : values_) {
      if (is_secret(name)) wipe(value);
    }
  }

  static asio::awaitable<dial_plan> make(std::shared_ptr<const options> settings) {
    dial_plan plan(settings->values_);
    if (settings->credential_provider) {
      const credentials now = co_await settings->credential_provider();
      if (now.user.find('\0') != std::string::npos || now.password.find('\0') != std::string::npos) {
        throw connect_error(errc::bad_options, "the credential provider returned a NUL byte");
      }
      if (!now.user.empty()) plan.values_.insert_or_assign("user", now.user);
      if (!now.password.empty()) plan.values_.insert_or_assign("password", now.password);
    }
    co_return plan;
  }

  /// What libpq is told, for one server at one address; `address` is empty for a local socket.
  std::vector<std::pair<const char*, const char*>> parameters(const endpoint& host, const std::string& address) const {
    std::vector<std::pair<const char*, const char*>> out;
    for (const auto& [name, value] : values_) {
      // Lists and the choice among them are settled here; libpq sees one server. Its own connect_timeout does nothing.
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
    // libpq's default lets anybody on the way talk it out of encryption.
    const bool open_network = !address.empty() && !asio::ip::make_address(address).is_loopback();
    if (open_network && !values_.contains("sslmode")) out.emplace_back("sslmode", "require");
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

  /// What libpq said, fit for a report.
  std::string clean(std::string text) const {
    for (const auto& [name, value] : values_) {
      if (is_secret(name)) text = redact(std::move(text), value);
    }
    return text;
  }

 private:
  explicit dial_plan(option_map values) : values_(std::move(values)) {}
  option_map values_;
};

/// Numeric addresses of a server; one empty string for a local socket. Bounded, although getaddrinfo is not.
inline asio::awaitable<std::vector<std::string>> resolve(asio::any_io_executor executor, const endpoint& host, duration limit) {
  std::vector<std::string> out;
  if (host.local()) {
    out.emplace_back();
    co_return out;
  }
  const auto& name = host.hostaddr.empty() ? host.host : host.hostaddr;
  error_code not_numeric;
  (void)asio::ip::make_address(name, not_numeric);
  if (!not_numeric || !host.hostaddr.empty()) {
    if (not_numeric) throw connect_error(errc::bad_options, "hostaddr is not a numeric address");
    out.push_back(name);
    co_return out;
  }
  struct answer {
    std::vector<std::string> addresses;
    error_code failure = asio::error::timed_out;
    std::mutex mutex;
  };
  const auto found = std::make_shared<answer>();
  std::weak_ptr<tidepool::detail::gate> first;
  real_timer timer(executor);
  // Not destroyed with this coroutine: a lookup that nobody waits for any more ends when it ends.
  const auto resolver = std::make_shared<asio::ip::tcp::resolver>(executor);
  {
    const auto gate = std::make_shared<tidepool::detail::gate>();
    first = gate;
    timer.expires_after(limit);
    timer.async_wait([gate](error_code) { gate->open(); });
    resolver->async_resolve(name, "", [gate, found, resolver](error_code failure, const asio::ip::tcp::resolver::results_type& results) {
      {
        const std::lock_guard lock(found->mutex);
        found->failure = failure;
        for (const auto& entry : results) found->addresses.push_back(entry.endpoint().address().to_string());
      }
      gate->open();
    });
  }
  co_await tidepool::detail::gate::wait(first);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    throw std::system_error(asio::error::make_error_code(asio::error::operation_aborted));
  const std::lock_guard lock(found->mutex);
  if (found->failure == asio::error::timed_out) {
    throw connect_error(errc::connect_timeout, "looking up \"" + printable(name, 80) + "\" took too long");
  }
  if (found->failure || found->addresses.empty()) {
    throw connect_error(errc::connect_failed, "looking up \"" + printable(name, 80) + "\": " + found->failure.message());
  }
  out = std::move(found->addresses);
  co_return out;
}

/// "... FATAL:  28P01: password authentication failed ...": verbose messages carry the SQLSTATE, in every language.
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

inline clock::time_point deadline_of(duration limit) {
  return clock::now() + std::chrono::duration_cast<clock::duration>(std::min<duration>(limit, std::chrono::hours(24)));
}

/// One attempt at one address.
inline asio::awaitable<session_ptr> dial_one(asio::any_io_executor executor, std::shared_ptr<const options> settings, const dial_plan& plan,
                                             const endpoint& host, const std::string& address, session_attrs wanted) {
  auto s = std::make_shared<session>(executor, settings);
  PGconn* const started = plan.start(host, address);
  if (started == nullptr) throw std::bad_alloc();
  s->adopt(started);
  tls_witness tls;
  const auto failed = [&] {
    if (s->killer->reason() == kill_reason::deadline) {
      return connect_error(errc::connect_timeout, "connecting to " + host.text() + " took too long");
    }
    auto said = diagnose_connect(plan.clean(PQerrorMessage(started)));
    if (said.sqlstate.empty() && !s->fatal.sqlstate.empty()) said = s->fatal;
    if (said.sqlstate.empty() && tls.refused(*s, host.host, said.message)) {
      return connect_error(errc::tls_refused, "connecting to " + host.text(), std::move(said));
    }
    const bool no_password = PQconnectionNeedsPassword(started) == 1;
    return connect_error(errc::connect_failed, "connecting to " + host.text(), std::move(said), no_password);
  };
  if (PQstatus(started) == CONNECTION_BAD) throw failed();
  const auto until = deadline_of(settings->address_timeout);
  deadline_guard guard(executor, settings->address_timeout, s->killer);
  s->follow_socket();
  // Not one poll before the socket is writable: libpq would take an unfinished connect for a failure.
  for (auto step = PGRES_POLLING_WRITING;;) {
    if (!s->has_socket()) throw failed();
    error_code failure;
    if (!(step == PGRES_POLLING_READING && tls_pending(started))) {
      co_await s->async_wait(step == PGRES_POLLING_WRITING ? wait_type::wait_write : wait_type::wait_read, failure);
    }
    if (failure == asio::error::operation_aborted) throw std::system_error(failure);
    tls.look(*s);
    if (may_compute(started)) {
      step = co_await poll_on_thread(s, executor, until);
    } else {
      step = PQconnectPoll(started);
    }
    if (step == PGRES_POLLING_FAILED || s->killer->reason() != kill_reason::none) throw failed();
    s->follow_socket();
    if (step == PGRES_POLLING_OK) break;
  }
  if (const auto why = blind_to_tls(started); !why.empty()) throw connect_error(errc::connect_failed, why, {}, true);
  s->settled();
  if (PQsetnonblocking(started, 1) != 0) throw failed();
  s->last_answer = clock::now();
  const auto role = co_await set_up(s);
  s->wrong_role = !role.fits(wanted);
  if (!guard.disarm() || s->killer->reason() != kill_reason::none) throw failed();
  co_return s;
}

}  // namespace tidepool::postgres::detail

#endif
