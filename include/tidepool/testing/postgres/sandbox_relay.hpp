// SPDX-License-Identifier: BSL-1.0
// tidepool - serves many client sessions by one session of a real server, in which a transaction is open: what clients take for
// transactions are savepoints there.
#ifndef TIDEPOOL_TESTING_POSTGRES_SANDBOX_RELAY_HPP
#define TIDEPOOL_TESTING_POSTGRES_SANDBOX_RELAY_HPP

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "sql_kind.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// Takes the first whole message off `from`; empty when there is none.
inline std::string take_message(std::string& from) {
  if (from.size() < 5) return {};
  const std::size_t size = 1 + wire::reader(std::string_view(from).substr(1)).number(4);
  if (from.size() < size) return {};
  std::string out = from.substr(0, size);
  from.erase(0, size);
  return out;
}

/// All in one thread, with blocking calls: one request of one client after the other, and a client in a transaction has the server for
/// itself.
class sandbox_relay {
 public:
  /// `server` is idle, and stays the caller's; `listener` and `wake` are non-blocking.
  sandbox_relay(PGconn* server, int listener, int wake) : server_(server), listener_(listener), wake_(wake) {}
  sandbox_relay(const sandbox_relay&) = delete;
  sandbox_relay& operator=(const sandbox_relay&) = delete;
  ~sandbox_relay() {
    for (auto& each : clients_) ::close(each.socket);
  }

  /// Opens the transaction. Throws std::runtime_error with the server's words.
  void begin() {
    if (const auto failure = own("set idle_in_transaction_session_timeout to 0; begin")) throw std::runtime_error(words_of_error(*failure));
  }
  /// Rolls all back, and begins anew.
  void start_over() {
    owner_ = nullptr;
    for (auto& each : clients_) each.state = 'I';
    if (const auto failure = own("rollback; begin")) throw std::runtime_error(words_of_error(*failure));
  }
  /// Serves clients until `wake` is written to; `stop()` ends it in the middle of a request.
  void serve() {
    try {
      for (woken_ = false; !woken_; wait(nullptr)) {
        bool more = true;
        while (more) {
          more = false;
          for (auto& each : clients_) {
            if (owner_ != nullptr && owner_ != &each) continue;
            more = step(each) || more;
          }
          drop_gone();
        }
      }
    } catch (const stopped&) {
      cancel();  // the server would go on with the statement
    }
  }
  bool in_transaction() const noexcept { return owner_ != nullptr; }
  /// From any thread; `wake` has to be written to after it.
  void stop() noexcept { stops_ = true; }

 private:
  struct stopped {};
  struct client {
    int socket = -1;
    std::uint32_t number = 0;  ///< 0 before the login
    std::string in = {};
    char state = 'I';  ///< of the transaction, as the client sees it
    bool gone = false;
    std::map<std::string, std::string> prepared = {};  ///< text by name
  };
  /// A part of a request, that the server runs as a whole.
  struct part {
    std::string messages = {};  ///< what the server gets; it ends with Query or Sync
    std::string sql = {};
    control kind = control::none;
    bool extended = false;
  };

  // --- bytes ----------------------------------------------------------------------------------------------------------------------

  /// Waits until something has come. `during`: of the clients only this one is read, while its request runs.
  void wait(client* during) {
    std::vector<pollfd> look{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}, {PQsocket(server_), POLLIN, 0}};
    std::vector<client*> whose(3, nullptr);
    if (server_gone_) look[2].fd = -1;
    for (auto& each : clients_) {
      if (each.gone || (during != nullptr && during != &each && each.number != 0)) continue;
      look.push_back({each.socket, POLLIN, 0});
      whose.push_back(&each);
    }
    if (::poll(look.data(), static_cast<nfds_t>(look.size()), -1) < 0) return;
    if (stops_) throw stopped();
    for (std::size_t i = 3; i < look.size(); ++i) {
      if (look[i].revents != 0 && !receive(look[i].fd, whose[i]->in)) whose[i]->gone = true;
    }
    if (look[2].revents != 0 && !receive(look[2].fd, from_server_)) server_gone_ = true;
    if (look[1].revents != 0) {
      const int made = ::accept(listener_, nullptr, nullptr);
      if (made >= 0) clients_.emplace_back().socket = made;
    }
    // A cancel request has to come through while a statement runs.
    for (auto& each : clients_) {
      if (each.number == 0 && !each.gone) greet(each);
    }
    if (look[0].revents == 0) return;
    std::array<char, 64> ignored;
    (void)!::read(wake_, ignored.data(), ignored.size());
    woken_ = true;
  }
  static bool receive(int from, std::string& to) {
    std::array<char, 65536> piece;
    const auto got = ::recv(from, piece.data(), piece.size(), MSG_DONTWAIT);
    if (got > 0) to.append(piece.data(), static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }
  void send_to(client& to, const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size() && !to.gone;) {
      const auto sent = ::send(to.socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent > 0) at += static_cast<std::size_t>(sent);
      if (sent <= 0 && errno != EINTR) to.gone = true;
    }
  }
  /// Reads meanwhile, because a server that is blocked in a write does not read.
  void send_to_server(const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size() && !server_gone_;) {
      const auto sent = ::send(PQsocket(server_), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        at += static_cast<std::size_t>(sent);
        continue;
      }
      if (sent < 0 && errno != EAGAIN && errno != EINTR) server_gone_ = true;
      pollfd look{PQsocket(server_), POLLIN | POLLOUT, 0};
      (void)::poll(&look, 1, -1);
      if ((look.revents & POLLIN) != 0 && !receive(look.fd, from_server_)) server_gone_ = true;
    }
  }

  // --- requests of the relay's own -------------------------------------------------------------------------------------------------

  /// The first error's message; empty: it was done.
  std::optional<std::string> own(const std::string& sql) {
    send_to_server(wire::message('Q', wire::z(sql)));
    std::optional<std::string> failure;
    for (;;) {
      const std::string got = from_server(nullptr);
      if (got.empty()) return lost_message();
      if (got[0] == 'E' && !failure) failure = got;
      if (got[0] == 'Z') return failure;
    }
  }
  /// The next message of the server; empty when its session has ended.
  std::string from_server(client* during) {
    for (;;) {
      std::string got = take_message(from_server_);
      if (!got.empty() || server_gone_) return got;
      wait(during);
    }
  }
  static std::string lost_message() {
    return wire::report('E', report_of("FATAL", "57P01", "the session of the sandbox has ended, and its transaction with it"));
  }
  static std::string words_of_error(const std::string& message) {
    const auto at = message.find(std::string("\0M", 2));
    return at == std::string::npos ? "the sandbox could not be opened" : "sandbox: " + std::string(message.c_str() + at + 2);
  }

  void cancel() noexcept {
    std::array<char, 256> ignored;
    PGcancel* const request = PQgetCancel(server_);
    if (request != nullptr) (void)PQcancel(request, ignored.data(), static_cast<int>(ignored.size()));
    PQfreeCancel(request);
  }

  // --- clients ----------------------------------------------------------------------------------------------------------------------

  void greet(client& who) {
    while (who.in.size() >= 8) {
      wire::reader at(who.in);
      const std::size_t size = at.number(4);
      const auto code = at.number(4);
      if (who.in.size() < size) return;
      who.in.erase(0, size);
      if (code == wire::cancel_request) {
        cancel();
        who.gone = true;
        return;
      }
      if (code == wire::tls_request || code == wire::gss_request) {
        send_to(who, "N");
        continue;
      }
      who.number = ++last_number_;
      std::string out = wire::message('R', wire::number(0, 4));
      for (const char* name : {"server_version", "server_encoding", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone",
                               "integer_datetimes", "standard_conforming_strings", "in_hot_standby", "default_transaction_read_only"}) {
        const char* const value = PQparameterStatus(server_, name);
        if (value != nullptr) out += wire::parameter(name, value);
      }
      const auto pid = static_cast<std::uint32_t>(PQbackendPID(server_));
      send_to(who, out + wire::message('K', wire::number(pid, 4) + wire::number(who.number, 4)) + wire::ready('I'));
      return;
    }
  }
  void drop_gone() {
    for (auto at = clients_.begin(); at != clients_.end();) {
      if (!at->gone) {
        ++at;
        continue;
      }
      if (owner_ == &*at) end_transaction(*at);
      ::close(at->socket);
      at = clients_.erase(at);
    }
  }

  /// Runs one request of a client, if a whole one has come.
  bool step(client& who) {
    if (who.gone || who.number == 0) return false;
    if (server_gone_) {
      send_to(who, lost_message());
      who.gone = true;
      return false;
    }
    if (who.in.empty()) return false;
    const char first = who.in.front();
    if (first != 'P' && first != 'B' && first != 'D' && first != 'E' && first != 'C' && first != 'H' && first != 'S') {
      const std::string message = take_message(who.in);
      if (message.empty()) return false;
      if (first == 'X') who.gone = true;
      if (first == 'Q') run(who, parts_of_text(message.c_str() + 5));
      return true;  // data of a COPY that has failed is dropped, as a server does
    }
    std::string rest = who.in;
    std::vector<std::string> request;
    do {
      request.push_back(take_message(rest));
      if (request.back().empty()) return false;
    } while (request.back()[0] != 'S');
    who.in = std::move(rest);
    run(who, parts_of_messages(who, request));
    return true;
  }

  static std::vector<part> parts_of_text(const std::string& text) {
    std::vector<part> out;
    bool any = false;
    const auto statements = statements_of(text);
    for (const auto& each : statements) any = any || control_of(each) != control::none;
    // A text without statements about the transaction is one implicit transaction.
    if (!any) return {part{wire::message('Q', wire::z(text)), text}};
    for (const auto& each : statements) out.push_back({wire::message('Q', wire::z(each)), each, control_of(each)});
    return out;
  }
  std::vector<part> parts_of_messages(client& who, const std::vector<std::string>& request) {
    std::vector<part> out(1);
    out.back().extended = true;
    std::string bound;
    for (const auto& message : request) {
      wire::reader at(std::string_view(message).substr(5));
      if (message[0] == 'P') {
        const std::string name = at.text();
        who.prepared.insert_or_assign(name, at.text());
      } else if (message[0] == 'B') {
        (void)at.text();
        bound = who.prepared[at.text()];
      }
      if (message[0] == 'S') continue;
      out.back().messages += in_server_names(who, message);
      if (message[0] != 'E') continue;
      out.back().sql = bound;
      const auto kind = control_of(bound);
      if (kind == control::none) continue;
      out.back().kind = kind;
      out.emplace_back().extended = true;
    }
    if (out.size() > 1 && out.back().messages.empty()) out.pop_back();
    for (auto& each : out) each.messages += wire::message('S', "");
    return out;
  }
  /// Clients share the server's session, so names of their prepared statements have to differ.
  static std::string in_server_names(const client& who, const std::string& message) {
    const auto body = std::string_view(message).substr(5);
    std::size_t at = std::string::npos;
    if (message[0] == 'P') at = 0;
    if (message[0] == 'B') at = body.find('\0') + 1;
    if ((message[0] == 'D' || message[0] == 'C') && body.starts_with('S')) at = 1;
    if (at == std::string::npos || at >= body.size() || body[at] == '\0' || who.number == 1) return message;
    return wire::message(message[0],
                         std::string(body.substr(0, at)) + "c" + std::to_string(who.number) + "_" + std::string(body.substr(at)));
  }

  // --- transactions -------------------------------------------------------------------------------------------------------------------

  void run(client& who, const std::vector<part>& parts) {
    for (const auto& each : parts) {
      if (!run(who, each)) break;
    }
    owner_ = who.state == 'I' ? nullptr : &who;
    if (!server_gone_) send_to(who, wire::ready(who.state));
  }

  /// False: it failed, and the rest of the request is not run.
  bool run(client& who, const part& what) {
    const bool outside = who.state == 'I';
    switch (what.kind) {
      case control::none:
        if (words_of(what.sql, 2) == std::vector<std::string>{"discard", "all"}) return discard_all(who, what);
        return outside ? run_alone(who, what) : forward(who, what);
      case control::begin:
        if (!outside) return forward(who, what);
        if (!open_savepoint(who)) return false;
        if (says_read_only(what.sql)) (void)own("set transaction read only");
        who.state = 'T';
        return answer(who, what, tag_of(what.sql, 0));
      case control::commit:
      case control::rollback: {
        if (outside) {
          send_to(who, wire::report('N', report_of("WARNING", "25P01", "there is no transaction in progress")));
          return answer(who, what, tag_of(what.sql, 0));
        }
        const bool commits = what.kind == control::commit && who.state == 'T';
        const auto failure = commits ? check_constraints() : std::nullopt;
        if (commits && !failure) {
          who.state = 'I';
          (void)own("release savepoint tidepool_sandbox");
        } else {
          end_transaction(who);
        }
        if (failure) {
          send_to(who, *failure);
          return false;
        }
        if (chains(what.sql) && open_savepoint(who)) who.state = 'T';
        return answer(who, what, commits ? "COMMIT" : "ROLLBACK");
      }
      case control::prepare_transaction:
        if (!outside) end_transaction(who);
        return refuse(who, "0A000", "a sandbox has no PREPARE TRANSACTION: it would outlive the sandbox");
      default:
        if (!outside) return forward(who, what);
        return refuse(who, "25P01", "SAVEPOINT, RELEASE and ROLLBACK TO can only be used in transaction blocks");
    }
  }
  static bool says_read_only(std::string_view sql) {
    const auto words = words_of(sql, 20);
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == "read" && words[i + 1] == "only") return true;
    }
    return false;
  }
  bool answer(client& who, const part& what, const std::string& tag) {
    // Parse, Bind and Describe were not sent.
    if (what.extended) send_to(who, wire::message('1', "") + wire::message('2', "") + wire::message('n', ""));
    send_to(who, wire::complete(tag));
    return true;
  }
  bool refuse(client& who, std::string_view sqlstate, std::string_view words) {
    send_to(who, wire::report('E', report_of("ERROR", sqlstate, words)));
    return false;
  }
  bool open_savepoint(client& who) {
    const auto failure = own("savepoint tidepool_sandbox");
    if (failure) send_to(who, *failure);
    return !failure;
  }
  void end_transaction(client& who) {
    (void)own("rollback to savepoint tidepool_sandbox; release savepoint tidepool_sandbox");
    who.state = 'I';
    owner_ = nullptr;
  }
  /// Deferred constraints, as COMMIT checks them; whether they are deferred stays as it is.
  std::optional<std::string> check_constraints() {
    return own(
        "savepoint tidepool_check; set constraints all immediate; rollback to savepoint tidepool_check; "
        "release savepoint tidepool_check");
  }
  bool discard_all(client& who, const part& what) {
    const auto failure =
        own("close all; set session authorization default; reset all; unlisten *; "
            "select pg_catalog.pg_advisory_unlock_all(); discard plans; discard temp; discard sequences; deallocate all");
    who.prepared.clear();
    if (!failure) return answer(who, what, "DISCARD ALL");
    send_to(who, *failure);
    return false;
  }

  /// Within a transaction of the client's.
  bool forward(client& who, const part& what) {
    bool failed = false;
    const std::string rest = relay(who, what, failed);
    send_to(who, rest);
    return !failed;
  }
  /// Outside of transactions: undone when it fails, and done for the rest of the sandbox when it succeeds.
  bool run_alone(client& who, const part& what) {
    if (!open_savepoint(who)) return false;
    bool failed = false;
    std::string answers = relay(who, what, failed);
    if (!failed) {
      const auto failure = check_constraints();
      if (failure) {
        // At the end of a text the server checks before it says that the last statement is done.
        if (!what.extended) answers.resize(last_complete_);
        answers += *failure;
        failed = true;
      }
    }
    who.state = 'T';
    if (failed) {
      end_transaction(who);
    } else {
      (void)own("release savepoint tidepool_sandbox");
    }
    who.state = 'I';
    send_to(who, answers);
    return !failed;
  }
  /// Sends a part to the server, and returns its answers without ReadyForQuery; those before the data of a COPY are sent on at once.
  std::string relay(client& who, const part& what, bool& failed) {
    std::string out;
    last_complete_ = 0;
    send_to_server(what.messages);
    bool copies = false;
    for (;;) {
      while (copies && !who.in.empty()) {
        const std::string data = take_message(who.in);
        if (data.empty()) break;
        send_to_server(data);
        copies = data[0] == 'd';
      }
      if (copies && who.gone) {
        send_to_server(wire::message('f', wire::z("the client has gone")));
        copies = false;
      }
      const std::string got = copies ? next_of_both(who) : from_server(&who);
      if (got.empty() && copies && !server_gone_) continue;
      if (got.empty()) {
        failed = true;
        send_to(who, out + lost_message());
        who.gone = true;
        return {};
      }
      if (got[0] == 'Z') {
        if (who.state != 'I') who.state = got[5] == 'I' ? 'E' : got[5];
        return out;
      }
      if (got[0] == 'E') {
        failed = true;
        copies = false;
      }
      if (got[0] == 'C') last_complete_ = out.size();
      out += got;
      if (got[0] != 'G') continue;
      send_to(who, std::exchange(out, {}));
      copies = true;
    }
  }
  /// While the client sends data: a message of the server, or none when the client has sent more.
  std::string next_of_both(client& who) {
    std::string got = take_message(from_server_);
    if (!got.empty() || server_gone_) return got;
    wait(&who);
    return take_message(from_server_);
  }

  PGconn* server_;
  int listener_;
  int wake_;
  bool woken_ = false;
  std::atomic<bool> stops_{false};
  std::list<client> clients_;
  client* owner_ = nullptr;  ///< is in a transaction
  std::uint32_t last_number_ = 0;
  std::string from_server_;
  bool server_gone_ = false;
  std::size_t last_complete_ = 0;  ///< where the last CommandComplete of a part begins
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
