// SPDX-License-Identifier: BSL-1.0
// tidepool - peers that are no PostgreSQL: silent ones, ones that refuse, ones that say something else.
#ifndef TIDEPOOL_TESTS_POSTGRES_FAKE_SERVER_HPP
#define TIDEPOOL_TESTS_POSTGRES_FAKE_SERVER_HPP

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tidepool/testing/postgres/wire.hpp>

#include "kit.hpp"
#include "support/asio.hpp"

namespace tidepool_tests {

/// A message of the server protocol.
inline std::string protocol_message(char kind, const std::string& body) { return tidepool::testing::detail::wire::message(kind, body); }

/// A result of one row of text; a null pointer is NULL.
inline std::string row_message(const std::vector<const char*>& values) {
  namespace wire = tidepool::testing::detail::wire;
  std::string columns = wire::count(values.size());
  std::string row = columns;
  for (const char* value : values) {
    columns += wire::z("c") + std::string(6, '\0') + wire::number(25, 4) + std::string(6, '\xff') + wire::number(0, 2);
    row += value == nullptr ? std::string(4, '\xff') : wire::sized(value);
  }
  return wire::message('T', columns) + wire::message('D', row) + wire::complete("SELECT 1") + wire::ready('I');
}

/// What a server reports to a new session, and when it is asked for its kind.
struct fake_kind {
  bool standby = false;
  bool pooler = false;  ///< the process that answers is not the one of the login
  std::string reports = std::string("in_hot_standby\0off", 18);
};
inline std::string kind_message(const fake_kind& kind) {
  std::vector<const char*> values(20, nullptr);
  values[0] = kind.standby ? "t" : "f";
  values[1] = kind.standby ? "on" : "off";
  values[2] = kind.pooler ? "f" : "t";
  values[3] = "1";
  return row_message(values);
}
/// Whether this is the query every session begins with, or the later one for the server's kind.
inline bool asks_for_kind(const std::string& said) { return said[0] == 'Q' && said.find("pg_is_in_recovery") != std::string::npos; }

/// At the end of an answer: the socket is closed after it.
inline const std::string hang_up("\0hang up", 8);

/// Listens on a free loopback port, on a thread of its own. `talk` gets each accepted socket and what the client sent first,
/// and returns what to answer; after the answer the socket is closed, unless the answer is empty: then it stays silent. One that
/// converses goes on after an answer. The query every session begins with is answered here, as by a primary without a pooler, unless
/// `talk` is to do that as well.
class fake_server {
 public:
  using talk = std::function<std::string(const std::string& said)>;

  explicit fake_server(talk answer, bool converses = false, bool tells_kind = true)
      : acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        answer_(std::move(answer)),
        converses_(converses),
        tells_kind_(tells_kind) {
    accept();
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(context_);
      context_.run();
    });
  }
  ~fake_server() {
    context_.stop();
    thread_.join();
  }
  std::string conninfo() const { return "host=127.0.0.1 port=" + std::to_string(port()) + " user=app dbname=app sslmode=disable"; }
  unsigned port() const { return acceptor_.local_endpoint().port(); }
  int accepted() const { return accepted_; }

 private:
  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, asio::ip::tcp::socket socket) {
      if (failure) return;
      ++accepted_;
      asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
      accept();
    });
  }
  asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
    std::array<char, 4096> buffer;
    for (;;) {
      const auto size = co_await socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
      const std::string said(buffer.data(), size);
      std::string answer = converses_ && tells_kind_ && asks_for_kind(said) ? kind_message({}) : answer_(said);
      if (answer.empty()) continue;
      const bool last = answer.ends_with(hang_up);
      if (last) answer.resize(answer.size() - hang_up.size());
      co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
      if (last || !converses_) co_return;
    }
  }

  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  talk answer_;
  bool converses_;
  bool tells_kind_;
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

/// A port on which no server listens.
inline unsigned closed_port() {
  asio::io_context context;
  asio::ip::tcp::acceptor once(context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  return once.local_endpoint().port();
}

/// Asks for a login by SCRAM that costs the client so many iterations, and says no more after that.
inline fake_server::talk costly_login(unsigned iterations) {
  return [iterations](const std::string& said) -> std::string {
    const std::string three_zeros(3, '\0');
    if (said[0] == '\0') return protocol_message('R', three_zeros + "\x0a" + "SCRAM-SHA-256" + std::string(2, '\0'));
    const auto nonce = said.find(",r=");
    if (nonce == std::string::npos) return "";
    return protocol_message(
        'R', three_zeros + "\x0b" + said.substr(nonce + 1) + "more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=" + std::to_string(iterations));
  };
}

/// An ErrorResponse ('E') or a NoticeResponse ('N').
inline std::string spoken(char kind, const std::string& severity, const std::string& sqlstate, const std::string& message,
                          const std::string& routine = "", const std::string& detail = "") {
  std::string body;
  const auto field = [&body](char code, const std::string& text) {
    if (text.empty()) return;
    body += code;
    body += text;
    body += '\0';
  };
  field('S', severity);
  field('V', severity);
  field('C', sqlstate);
  field('M', message);
  field('D', detail);
  field('R', routine);
  body += '\0';
  return protocol_message(kind, body);
}

/// An ErrorResponse of the server protocol that ends the session.
inline std::string error_response(const std::string& sqlstate, const std::string& message) {
  return spoken('E', "FATAL", sqlstate, message);
}

/// A login without a password, and the state after it.
inline std::string welcome() {
  return protocol_message('R', std::string(4, '\0')) + protocol_message('S', std::string("DateStyle\0ISO, MDY\0", 19)) +
         protocol_message('S', std::string("client_encoding\0UTF8\0", 21)) + protocol_message('K', "processk") + protocol_message('Z', "I");
}
inline bool asks_for_login(const std::string& said) { return said.size() >= 8 && said.substr(4, 4) == std::string("\0\3\0\0", 4); }

/// Accepts every login and answers the first query of a session; later messages go to `then`.
inline fake_server::talk after_login(fake_server::talk then, fake_kind kind = {}) {
  return [then = std::move(then), kind = std::move(kind)](const std::string& said) -> std::string {
    if (asks_for_login(said)) {
      return protocol_message('R', std::string(4, '\0')) + protocol_message('S', std::string("DateStyle\0ISO, MDY\0", 19)) +
             protocol_message('S', std::string("server_version\0"
                                               "15.0\0",
                                               20)) +
             protocol_message('S', kind.reports + '\0') + protocol_message('K', "processk") + protocol_message('Z', "I");
    }
    return asks_for_kind(said) ? kind_message(kind) : then(said);
  };
}

/// The answer to one statement that returns nothing, in the extended protocol, without the ReadyForQuery.
inline std::string done(const std::string& tag) {
  return protocol_message('1', "") + protocol_message('2', "") + protocol_message('n', "") +
         protocol_message('C', tag + std::string(1, '\0'));
}
inline std::string ready(char state = 'I') { return protocol_message('Z', std::string(1, state)); }

}  // namespace tidepool_tests

#endif
