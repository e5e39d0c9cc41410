// SPDX-License-Identifier: BSL-1.0
// tidepool - the bytes between the clients of a sandbox and its server: sockets, logins, cancel requests, requests of the sandbox's own.
#ifndef TIDEPOOL_TESTING_POSTGRES_SANDBOX_WIRES_HPP
#define TIDEPOOL_TESTING_POSTGRES_SANDBOX_WIRES_HPP

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "../../version.hpp"
#include "sandbox_client.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// All in one thread. It blocks in `poll()` only, which `stop()` ends.
class sandbox_wires {
 public:
  /// Thrown by all that waits, after `stop()`.
  struct stopped {};
  /// What `wait()` is for, besides bytes of the server and clients that have not logged in yet.
  struct wish {
    sandbox_client* reads = nullptr;
    bool reads_all = false;
    sandbox_client* writes = nullptr;
    bool to_server = false;
    int milliseconds = -1;  ///< -1: until something happens
  };

  sandbox_wires(PGconn* server, int listener, int wake) : server_(server), listener_(listener), wake_(wake) {}
  sandbox_wires(const sandbox_wires&) = delete;
  sandbox_wires& operator=(const sandbox_wires&) = delete;
  ~sandbox_wires() {
    for (auto& each : clients_) ::close(each.socket);
  }

  /// From any thread; `wake` has to be written to after it.
  void stop() noexcept { stops_ = true; }
  bool woken() const noexcept { return woken_; }
  void sleep() noexcept { woken_ = false; }
  bool server_gone() const noexcept { return server_gone_; }
  std::list<sandbox_client>& clients() noexcept { return clients_; }
  /// Whose request runs: the number of a client, 0: nobody's.
  void serves(std::uint32_t number) noexcept { serving_ = number; }

  /// Waits until something has come.
  void wait(const wish& what) {
    std::vector<pollfd> look{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}, {PQsocket(server_), POLLIN, 0}};
    std::vector<sandbox_client*> whose(3, nullptr);
    if (what.to_server) look[2].events = POLLIN | POLLOUT;
    if (server_gone_) look[2].fd = -1;
    for (auto& each : clients_) {
      const bool reads = each.number == 0 || what.reads_all || what.reads == &each;
      if (each.gone || !(reads || what.writes == &each)) continue;
      look.push_back({each.socket, what.writes == &each ? short(POLLIN | POLLOUT) : short(POLLIN), 0});
      whose.push_back(&each);
    }
    if (::poll(look.data(), static_cast<nfds_t>(look.size()), what.milliseconds) < 0) return;
    if (stops_) throw stopped();
    for (std::size_t i = 3; i < look.size(); ++i) {
      if ((look[i].revents & ~POLLOUT) != 0 && !receive(look[i].fd, whose[i]->in)) whose[i]->gone = true;
    }
    if ((look[2].revents & ~POLLOUT) != 0 && !receive(look[2].fd, from_server_)) server_gone_ = true;
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

  void send_to(sandbox_client& to, const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size() && !to.gone;) {
      const auto sent = ::send(to.socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        at += static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        wait({.reads = &to, .writes = &to});
      } else if (errno != EINTR) {
        to.gone = true;
      }
    }
  }
  /// Reads meanwhile, because a server that is blocked in a write does not read.
  void send_to_server(const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size() && !server_gone_;) {
      const auto sent = ::send(PQsocket(server_), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        at += static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        wait({.to_server = true});
      } else if (errno != EINTR) {
        server_gone_ = true;
      }
    }
  }
  /// The next message of the server that has come; empty: none.
  std::string received() { return take_message(from_server_); }
  /// The next message of the server; empty when its session has ended. `during`: of the clients only this one is read.
  std::string from_server(sandbox_client* during) {
    for (;;) {
      std::string got = received();
      if (!got.empty() || server_gone_) return got;
      wait({.reads = during, .reads_all = during == nullptr});
    }
  }

  /// Runs a statement of the sandbox's own. The first error's message; empty: it was done.
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
  static std::string lost_message() {
    return wire::report('E', report_of("FATAL", "57P01", "the session of the sandbox has ended, and its transaction with it"));
  }
  /// Cancels the statement that runs.
  void cancel() noexcept {
    std::array<char, 256> ignored;
    PGcancel* const request = PQgetCancel(server_);
    if (request != nullptr) (void)PQcancel(request, ignored.data(), static_cast<int>(ignored.size()));
    PQfreeCancel(request);
  }

 private:
  static bool receive(int from, std::string& to) {
    std::array<char, 65536> piece;
    const auto got = ::recv(from, piece.data(), piece.size(), MSG_DONTWAIT);
    if (got > 0) to.append(piece.data(), static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

  /// The request of a client, and of no other: all have one server process.
  void cancel(std::uint32_t number) {
    if (number == serving_) return cancel();
    for (auto& each : clients_) {
      if (each.number == number && each.state == 'I') each.cancelled = has_asked(each);
    }
  }
  static bool has_asked(const sandbox_client& who) {
    char first = 0;
    return !who.in.empty() || ::recv(who.socket, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  }
  void greet(sandbox_client& who) {
    while (who.in.size() >= 8) {
      wire::reader at(who.in);
      const std::size_t size = at.number(4);
      const auto code = at.number(4);
      if (who.in.size() < size) return;
      const auto key =
          code == wire::cancel_request ? wire::reader(std::string_view(who.in).substr(8)).number(8) : 0U;  // behind the process's number
      who.in.erase(0, size);
      if (code == wire::cancel_request) {
        cancel(key);
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

  PGconn* server_;
  int listener_;
  int wake_;
  bool woken_ = false;
  std::atomic<bool> stops_{false};
  std::list<sandbox_client> clients_;
  std::uint32_t last_number_ = 0;
  std::uint32_t serving_ = 0;
  std::string from_server_;
  bool server_gone_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
