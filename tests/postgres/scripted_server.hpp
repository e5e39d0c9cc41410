// SPDX-License-Identifier: BSL-1.0
// tidepool - a server that speaks PostgreSQL's protocol correctly, except at one place where a test has it break the protocol.
#ifndef TIDEPOOL_TESTS_POSTGRES_SCRIPTED_SERVER_HPP
#define TIDEPOOL_TESTS_POSTGRES_SCRIPTED_SERVER_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fake_server.hpp"
#include "support/asio.hpp"

namespace tidepool_tests {

/// Messages of the protocol's version 3, as a server sends them.
namespace wire {

using tidepool::testing::detail::wire::complete;
using tidepool::testing::detail::wire::count;
using tidepool::testing::detail::wire::notification;
using tidepool::testing::detail::wire::number;
using tidepool::testing::detail::wire::parameter;
using tidepool::testing::detail::wire::ready;
using tidepool::testing::detail::wire::sized;
using tidepool::testing::detail::wire::z;

inline std::uint32_t number(std::string_view bytes) {
  std::uint32_t out = 0;
  for (const char c : bytes) out = (out << 8U) | static_cast<unsigned char>(c);
  return out;
}
inline std::string columns(std::initializer_list<std::string_view> names) {
  std::string body = count(names.size());
  for (const auto name : names)
    body += z(name) + number(0, 4) + number(0, 2) + number(25, 4) + number(0xFFFF, 2) + number(0xFFFFFFFF, 4) + number(0, 2);
  return protocol_message('T', body);
}
inline std::string row(std::initializer_list<std::string_view> values) {
  std::string body = count(values.size());
  for (const auto value : values) body += sized(std::string(value));
  return protocol_message('D', body);
}
/// ErrorResponse ('E') or NoticeResponse ('N').
inline std::string report(char kind, std::string_view severity, std::string_view sqlstate, std::string_view text) {
  return protocol_message(kind, "S" + z(severity) + "V" + z(severity) + "C" + z(sqlstate) + "M" + z(text) + '\0');
}
inline std::string login(unsigned pid) {
  return protocol_message('R', number(0, 4)) + parameter("server_version", "15.0") + parameter("client_encoding", "UTF8") +
         parameter("DateStyle", "ISO, MDY") + parameter("standard_conforming_strings", "on") + parameter("integer_datetimes", "on") +
         protocol_message('K', number(pid, 4) + number(pid, 4)) + ready('I');
}
/// A stream of messages, one by one.
inline std::vector<std::string> split(const std::string& bytes) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = 1 + number(std::string_view(bytes).substr(at + 1, 4));
    out.push_back(bytes.substr(at, size));
    at += size;
  }
  return out;
}

}  // namespace wire

/// What is sent in place of the correct answer.
struct sent_answer {
  enum class end {
    go_on,    ///< the session goes on
    close,    ///< no more bytes
    reset,    ///< the same, by RST
    silence,  ///< the socket stays open
    endless   ///< `filler`, again and again
  };
  std::string bytes;
  std::size_t piece = 0;  ///< bytes in one record; 0: all in one
  end then = end::go_on;
  std::string filler = {};
};
/// Gets the messages of the correct answer. Answers are counted from 0, which is the login's; Terminate has one too, without messages.
struct plan {
  int answer = -1;
  std::function<sent_answer(const std::vector<std::string>&)> fault = {};
  bool fails = false;  ///< instead: the statement fails with a correct error, SQLSTATE 22012
  sent_answer::end cancel = sent_answer::end::close;
};

/// Listens on a free loopback port, on a thread of its own. The first connection that logs in as "c17" gets the plan of number 17; a second
/// connection of that number is served correctly.
///
/// Of SQL it looks at the first word only. A statement's answer is one row with the statement's first quoted string, the number of
/// parameters and the last one, so that a client can see when it gets the answer of another statement. "select 'hold ...'" ends when it is
/// cancelled.
class scripted_server {
 public:
  scripted_server() : acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    accept();
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(context_);
      context_.run();
    });
  }
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;
  ~scripted_server() {
    context_.stop();
    thread_.join();
  }

  std::string conninfo(int number) const {
    return "host=127.0.0.1 port=" + std::to_string(acceptor_.local_endpoint().port()) + " dbname=app sslmode=disable user=c" +
           std::to_string(number);
  }
  void expect(int number, plan what) {
    const std::lock_guard lock(mutex_);
    cases_[number].what = std::move(what);
  }
  /// The correct answers to the first connection of that number.
  std::vector<std::vector<std::string>> answers(int number) {
    const std::lock_guard lock(mutex_);
    return cases_[number].answers;
  }
  /// Whether it has come to the place where it breaks the protocol.
  bool met(int number) {
    const std::lock_guard lock(mutex_);
    return cases_[number].met;
  }
  void forget(int number) {
    const std::lock_guard lock(mutex_);
    cases_.erase(number);
  }

 private:
  using socket_type = asio::ip::tcp::socket;
  struct one_case {
    plan what;
    std::vector<std::vector<std::string>> answers;
    int connections = 0;
    bool met = false;
    std::shared_ptr<asio::steady_timer> held;
  };
  struct session {
    session(socket_type s, int n, bool is_first) : socket(std::move(s)), number(n), first(is_first) {}
    socket_type socket;
    int number;
    bool first;
    char state = 'I';
    bool skip = false;     ///< after an error in the extended protocol, up to the next Sync
    bool copying = false;  ///< rows come in
    std::map<std::string, std::string> prepared = {};
    std::string bound = {};
    std::string parameters = {};
    bool listens = false;
    bool executed = false;  ///< since the last Sync
    std::string out = {};
    int sent = 0;
  };

  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, socket_type socket) {
      if (failure) return;
      asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
      accept();
    });
  }

  asio::awaitable<std::string> read(socket_type& from, std::size_t size) {
    std::string out(size, '\0');
    co_await asio::async_read(from, asio::buffer(out), asio::use_awaitable);
    co_return out;
  }
  asio::awaitable<void> serve(socket_type socket) {
    socket.set_option(asio::ip::tcp::no_delay(true));
    const std::string head = co_await read(socket, 8);
    const auto size = wire::number(std::string_view(head).substr(0, 4));
    const std::string body = co_await read(socket, size - 8);
    if (wire::number(std::string_view(head).substr(4)) == 80877102) {
      co_await cancel(socket, static_cast<int>(wire::number(std::string_view(body).substr(0, 4))));
      co_return;
    }
    const int number = std::atoi(body.c_str() + body.find("user") + 6);
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = cases_[number].connections++ == 0;
    }
    session on(std::move(socket), number, first);
    on.out = wire::login(static_cast<unsigned>(number));
    bool more = co_await answer(on);
    while (more) {
      const std::string kind = co_await read(on.socket, 5);
      const std::string said = co_await read(on.socket, wire::number(std::string_view(kind).substr(1)) - 4);
      more = co_await handle(on, kind[0], said);
    }
  }

  asio::awaitable<void> cancel(socket_type& socket, int number) {
    auto then = sent_answer::end::close;
    {
      const std::lock_guard lock(mutex_);
      if (cases_[number].held) cases_[number].held->cancel();
      then = cases_[number].what.cancel;
    }
    sent_answer what;
    what.then = then;
    what.filler = "noise";
    const bool more = co_await act(socket, what);
    (void)more;
  }

  /// False: the connection has ended.
  asio::awaitable<bool> handle(session& on, char kind, const std::string& said) {
    const auto text_at = [&said](std::size_t from) { return said.substr(from, said.find('\0', from) - from); };
    bool ends = false;
    switch (kind) {
      case 'X': {
        const bool more = co_await answer(on);
        (void)more;
        co_return false;
      }
      case 'Q':
        on.skip = false;
        if (trimmed(said).empty()) on.out += protocol_message('I', "");
        for (std::size_t at = 0; at < said.size() && !on.skip;) {
          auto end = said.find(';', at);
          if (end == std::string::npos) end = said.size() - 1;
          const std::string one = trimmed(said.substr(at, end - at));
          if (!one.empty()) co_await statement(on, one, "", true);
          at = end + 1;
        }
        on.skip = false;
        ends = true;
        break;
      case 'P':
        if (on.skip) break;
        on.prepared[text_at(0)] = text_at(text_at(0).size() + 1);
        on.out += protocol_message('1', "");
        break;
      case 'B':
        if (on.skip) break;
        bind(on, said);
        break;
      case 'D':
        // Rows are described with their execution; a prepared statement takes one int4.
        if (!on.skip && said[0] == 'S') on.out += protocol_message('t', std::string("\0\1\0\0\0\x17", 6)) + protocol_message('n', "");
        break;
      case 'E':
        if (on.skip) break;
        on.executed = true;
        co_await statement(on, on.prepared[on.bound], on.parameters, false);
        break;
      case 'C':
        if (!on.skip) on.out += protocol_message('3', "");
        break;
      case 'S':
        if (!on.skip && !on.executed && planned(on)) fail(on, "22012");
        on.skip = on.executed = false;
        ends = true;
        break;
      case 'd': break;
      case 'c':
        if (!on.copying) break;
        on.copying = false;
        if (planned(on)) {
          fail(on, "22012");
          on.skip = false;
        } else {
          on.out += wire::complete("COPY 2");
        }
        ends = true;
        break;
      case 'f':
        if (!on.copying) break;
        on.copying = false;
        fail(on, "57014");
        on.skip = false;
        ends = true;
        break;
      default: break;
    }
    if (!ends) co_return true;
    if (!on.copying) on.out += wire::ready(on.state);
    if (std::exchange(on.listens, false)) on.out += wire::notification("jobs", "work");
    const bool more = co_await answer(on);
    co_return more;
  }

  void bind(session& on, const std::string& said) {
    const auto portal = said.find('\0');
    const auto name_end = said.find('\0', portal + 1);
    on.bound = said.substr(portal + 1, name_end - portal - 1);
    std::size_t at = name_end + 1;
    const auto take = [&](std::size_t bytes) {
      const auto value = wire::number(std::string_view(said).substr(at, bytes));
      at += bytes;
      return value;
    };
    at += 2 * std::size_t{take(2)};
    const auto count = take(2);
    std::string last;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto size = take(4);
      if (size == 0xFFFFFFFF) continue;
      last = said.substr(at, size);
      at += size;
    }
    on.parameters = count == 0 ? "" : std::to_string(count) + "/" + last;
    if (!on.prepared.contains(on.bound)) {
      fail(on, "26000");
    } else {
      on.out += protocol_message('2', "");
    }
  }

  static std::string trimmed(const std::string& text) {
    const auto from = text.find_first_not_of(" \n");
    const auto to = text.find_last_not_of(std::string_view(" \n\0", 3));
    return from == std::string::npos || to == std::string::npos ? std::string() : text.substr(from, to + 1 - from);
  }
  void fail(session& on, std::string_view sqlstate) {
    on.out += wire::report('E', "ERROR", sqlstate, "failed as planned");
    on.skip = true;
    if (on.state == 'T') on.state = 'E';
  }

  bool planned(const session& on) {
    const std::lock_guard lock(mutex_);
    const auto& what = cases_[on.number].what;
    return on.first && what.fails && what.answer == on.sent;
  }

  asio::awaitable<void> statement(session& on, std::string sql, std::string parameters, bool simple) {
    const std::string word = sql.substr(0, sql.find_first_of(" \n"));
    const bool ends = word == "commit" || (word == "rollback" && sql.find(" to ") == std::string::npos);
    if (planned(on)) {
      fail(on, "22012");
      if (ends) on.state = 'I';
      co_return;
    }
    if (on.state == 'E' && !ends && word != "rollback") {
      fail(on, "25P02");
      co_return;
    }
    if (sql.find("pg_is_in_recovery") != std::string::npos) {  // what every session begins with
      auto kind = wire::split(kind_message({}));
      kind.pop_back();
      for (const auto& one : kind) on.out += one;
      co_return;
    }
    const auto quote = sql.find('\'');
    std::string value = quote == std::string::npos ? sql : sql.substr(quote + 1, sql.find('\'', quote + 1) - quote - 1);
    if (!parameters.empty()) value += "/" + parameters;
    if (value.starts_with("hold")) {
      const auto held = std::make_shared<asio::steady_timer>(context_, std::chrono::seconds(30));
      {
        const std::lock_guard lock(mutex_);
        cases_[on.number].held = held;
      }
      tidepool::error_code ignored;
      co_await held->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      fail(on, "57014");
      co_return;
    }
    if (word == "copy") {
      on.copying = sql.find("from stdin") != std::string::npos;
      const std::string shape = std::string(1, '\0') + wire::number(1, 2) + wire::number(0, 2);
      on.out += protocol_message(on.copying ? 'G' : 'H', shape);
      if (on.copying) co_return;
      on.out +=
          protocol_message('d', value + "\n") + protocol_message('d', value + "\n") + protocol_message('c', "") + wire::complete("COPY 2");
      co_return;
    }
    if (word == "select" || word == "show") {
      on.out += wire::columns({"value"}) + wire::row({value}) + wire::complete("SELECT 1");
      co_return;
    }
    if (!simple) on.out += protocol_message('n', "");
    std::string tag;
    for (const char c : word) tag += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (word == "begin") on.state = 'T';
    on.listens = on.listens || word == "listen";
    if (word == "commit" && on.state == 'E') tag = "ROLLBACK";
    if (ends) on.state = 'I';
    if (word == "rollback" && !ends && on.state == 'E') on.state = 'T';
    if (word == "insert") tag = "INSERT 0 1";
    if (word == "discard") tag = sql == "discard all" ? "DISCARD ALL" : "DISCARD";
    on.out += wire::complete(tag);
  }

  /// Sends what has gathered, or what the plan makes of it.
  asio::awaitable<bool> answer(session& on) {
    sent_answer what;
    what.bytes = std::exchange(on.out, {});
    {
      const std::lock_guard lock(mutex_);
      auto& here = cases_[on.number];
      if (on.first) {
        const auto honest = wire::split(what.bytes);
        here.answers.push_back(honest);
        here.met = here.met || here.what.answer == on.sent;
        if (here.what.answer == on.sent && here.what.fault) what = here.what.fault(honest);
      }
    }
    ++on.sent;
    const bool more = co_await act(on.socket, what);
    co_return more;
  }

  asio::awaitable<bool> act(socket_type& socket, const sent_answer& what) {
    const std::size_t piece = what.piece == 0 ? what.bytes.size() : what.piece;
    for (std::size_t at = 0; at < what.bytes.size(); at += piece) {
      const auto part = std::string_view(what.bytes).substr(at, piece);
      co_await asio::async_write(socket, asio::buffer(part.data(), part.size()), asio::use_awaitable);
    }
    if (what.then == sent_answer::end::go_on) co_return true;
    if (what.then == sent_answer::end::reset) {
      socket.set_option(asio::socket_base::linger(true, 0));
      socket.close();
    } else if (what.then == sent_answer::end::close) {
      socket.shutdown(socket_type::shutdown_both);
    } else {
      co_await occupy(socket, what);
    }
    co_return false;
  }
  /// Until the other side has gone; `filler` by some kilobytes a millisecond.
  asio::awaitable<void> occupy(socket_type& socket, const sent_answer& what) {
    std::string block;
    while (what.then == sent_answer::end::endless && block.size() < 4096) block += what.filler;
    asio::steady_timer timer(context_);
    while (!block.empty()) {
      co_await asio::async_write(socket, asio::buffer(block), asio::use_awaitable);
      timer.expires_after(std::chrono::milliseconds(1));
      co_await timer.async_wait(asio::use_awaitable);
    }
    std::array<char, 4096> rest;
    for (;;) {
      const std::size_t got = co_await socket.async_read_some(asio::buffer(rest), asio::use_awaitable);
      (void)got;
    }
  }

  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::mutex mutex_;
  std::map<int, one_case> cases_;
  std::thread thread_;
};

}  // namespace tidepool_tests

#endif
