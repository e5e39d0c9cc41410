// SPDX-License-Identifier: BSL-1.0
// tidepool - serves many client sessions by one session of a real server, in which a transaction is open: what clients take for
// transactions are savepoints there.
#ifndef TIDEPOOL_TESTING_POSTGRES_SANDBOX_RELAY_HPP
#define TIDEPOOL_TESTING_POSTGRES_SANDBOX_RELAY_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../postgres/detail/text.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "sandbox_client.hpp"
#include "sandbox_wires.hpp"
#include "sql_kind.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// All in one thread: one request of one client after the other, and a client in a transaction has the server for itself.
class sandbox_relay {
 public:
  /// `server` is idle, and stays the caller's; `listener` and `wake` are non-blocking. `patience`: how long a client waits for one in a
  /// transaction in which nothing happens.
  sandbox_relay(PGconn* server, int listener, int wake, duration patience) : wires_(server, listener, wake), patience_(patience) {}

  /// Opens the transaction. Throws std::runtime_error with the server's words.
  void begin() { must(wires_.own("set idle_in_transaction_session_timeout to 0; begin")); }
  /// Rolls all back, and begins anew.
  void start_over() {
    owner_ = nullptr;
    for (auto& each : wires_.clients()) each.state = 'I';
    must(wires_.own("rollback; begin"));
  }
  /// Serves clients until `wake` is written to; `stop()` ends it in the middle of a request.
  void serve() {
    try {
      for (wires_.sleep(); !wires_.woken(); wires_.wait({.reads_all = true, .milliseconds = left_until(refuse_at_)})) {
        bool more = true;
        while (more) {
          more = false;
          refuse_at_ = never;
          for (auto& each : wires_.clients()) {
            const bool waits = owner_ != nullptr && owner_ != &each;
            more = refuse_cancelled(each) || (waits ? refuse_late(each) : step(each)) || more;
          }
          more = drop_gone() || more;
        }
      }
    } catch (const sandbox_wires::stopped&) {
      wires_.cancel();  // the server would go on with the statement
    }
  }
  bool in_transaction() const noexcept { return owner_ != nullptr; }
  /// From any thread; `wake` has to be written to after it.
  void stop() noexcept { wires_.stop(); }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr clock::time_point never = clock::time_point::max();
  static clock::time_point now() { return clock::now(); }  // NOLINT(clock): clients and server work in real time

  static void must(const std::optional<std::string>& failure) {
    if (!failure) return;
    const auto at = failure->find(std::string("\0M", 2));
    throw std::runtime_error(at == std::string::npos ? "the sandbox could not be opened"
                                                     : "sandbox: " + std::string(failure->c_str() + at + 2));
  }

  // --- clients ----------------------------------------------------------------------------------------------------------------------

  /// True: the server is free for others now.
  bool drop_gone() {
    bool freed = false;
    auto& clients = wires_.clients();
    for (auto at = clients.begin(); at != clients.end();) {
      if (!at->gone) {
        ++at;
        continue;
      }
      if (owner_ == &*at) {
        end_transaction(*at);
        freed = true;
      }
      ::close(at->socket);
      at = clients.erase(at);
    }
    return freed;
  }

  /// Runs one request of a client, if a whole one has come.
  bool step(sandbox_client& who) {
    if (who.gone || who.number == 0) return false;
    if (wires_.server_gone()) {
      wires_.send_to(who, wires_.lost_message());
      who.gone = true;
      return false;
    }
    const auto request = take_request(who);
    if (!request) return false;
    who.waits_since.reset();
    who.served = true;
    run(who, *request);
    return true;
  }
  /// A request that was cancelled while it waited for another client.
  bool refuse_cancelled(sandbox_client& who) {
    if (!who.cancelled || who.gone || !take_request(who)) return false;
    who.cancelled = false;
    who.waits_since.reset();
    wires_.send_to(who, wire::report('E', report_of("ERROR", "57014", "canceling statement due to user request")) + wire::ready('I'));
    return true;
  }
  /// A request that waits for another client's transaction, which may wait for this client: after a while it fails.
  bool refuse_late(sandbox_client& who) {
    if (who.gone || who.in.empty() || who.number == 0 || patience_ == no_limit) return false;
    if (!who.waits_since) who.waits_since = now();
    const auto until = std::max(*who.waits_since, owner_seen_) +
                       std::chrono::duration_cast<clock::duration>(std::min<duration>(patience_, std::chrono::hours(24 * 365)));
    if (now() < until) {
      refuse_at_ = std::min(refuse_at_, until);
      return false;
    }
    who.waits_since.reset();
    if (!take_request(who)) return false;
    // At its begin a session could not tell what it has to know of the server: it ends.
    const auto words = "another connection of the sandbox is in a transaction, and nothing has happened in it for " +
                       tidepool::postgres::detail::seconds_text(patience_) +
                       ": statements of others wait until it has ended, so code that needs a second connection before that cannot run in a "
                       "sandbox";
    wires_.send_to(who, wire::report('E', report_of(who.served ? "ERROR" : "FATAL", "55P03", words)));
    if (who.served) {
      wires_.send_to(who, wire::ready('I'));
    } else {
      who.gone = true;
    }
    return true;
  }
  static int left_until(clock::time_point at) {
    if (at == never) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at - now()).count();
    return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 3'600'000));
  }

  // --- transactions -------------------------------------------------------------------------------------------------------------------

  void run(sandbox_client& who, const std::vector<sandbox_part>& parts) {
    wires_.serves(who.number);
    for (const auto& each : parts) {
      if (!run(who, each)) break;
    }
    wires_.serves(0);
    owner_ = who.state == 'I' ? nullptr : &who;
    owner_seen_ = now();
    if (!wires_.server_gone()) wires_.send_to(who, wire::ready(who.state));
  }

  /// False: it failed, and the rest of the request is not run.
  bool run(sandbox_client& who, const sandbox_part& what) {
    const bool outside = who.state == 'I';
    switch (what.kind) {
      case control::none:
        if (words_of(what.sql, 2) == std::vector<std::string>{"discard", "all"}) return discard_all(who, what);
        return outside ? run_alone(who, what) : forward(who, what);
      case control::begin:
        if (!outside) return forward(who, what);
        if (!open_savepoint(who)) return false;
        if (says_read_only(what.sql)) (void)wires_.own("set transaction read only");
        who.state = 'T';
        return answer(who, what, tag_of(what.sql, 0));
      case control::commit:
      case control::rollback: {
        if (outside) {
          wires_.send_to(who, wire::report('N', report_of("WARNING", "25P01", "there is no transaction in progress")));
          return answer(who, what, tag_of(what.sql, 0));
        }
        const bool commits = what.kind == control::commit && who.state == 'T';
        const auto failure = commits ? check_constraints() : std::nullopt;
        if (commits && !failure) {
          who.state = 'I';
          (void)wires_.own("release savepoint tidepool_sandbox");
        } else {
          end_transaction(who);
        }
        if (failure) {
          wires_.send_to(who, *failure);
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
  bool answer(sandbox_client& who, const sandbox_part& what, const std::string& tag) {
    // Parse, Bind and Describe were not sent.
    if (what.extended) wires_.send_to(who, wire::message('1', "") + wire::message('2', "") + wire::message('n', ""));
    wires_.send_to(who, wire::complete(tag));
    return true;
  }
  bool refuse(sandbox_client& who, std::string_view sqlstate, std::string_view words) {
    wires_.send_to(who, wire::report('E', report_of("ERROR", sqlstate, words)));
    return false;
  }
  bool open_savepoint(sandbox_client& who) {
    const auto failure = wires_.own("savepoint tidepool_sandbox");
    if (failure) wires_.send_to(who, *failure);
    return !failure;
  }
  void end_transaction(sandbox_client& who) {
    (void)wires_.own("rollback to savepoint tidepool_sandbox; release savepoint tidepool_sandbox");
    who.state = 'I';
    owner_ = nullptr;
  }
  /// Deferred constraints, as COMMIT checks them; whether they are deferred stays as it is.
  std::optional<std::string> check_constraints() {
    return wires_.own(
        "savepoint tidepool_check; set constraints all immediate; rollback to savepoint tidepool_check; "
        "release savepoint tidepool_check");
  }
  bool discard_all(sandbox_client& who, const sandbox_part& what) {
    const auto failure = wires_.own(
        "close all; set session authorization default; reset all; unlisten *; "
        "select pg_catalog.pg_advisory_unlock_all(); discard plans; discard temp; discard sequences; deallocate all");
    who.prepared.clear();
    if (!failure) return answer(who, what, "DISCARD ALL");
    wires_.send_to(who, *failure);
    return false;
  }

  /// Within a transaction of the client's.
  bool forward(sandbox_client& who, const sandbox_part& what) {
    bool failed = false;
    const std::string rest = relay(who, what, failed);
    wires_.send_to(who, rest);
    return !failed;
  }
  /// Outside of transactions: undone when it fails, and done for the rest of the sandbox when it succeeds.
  bool run_alone(sandbox_client& who, const sandbox_part& what) {
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
      (void)wires_.own("release savepoint tidepool_sandbox");
    }
    who.state = 'I';
    wires_.send_to(who, answers);
    return !failed;
  }
  /// Sends a part to the server, and returns its answers without ReadyForQuery; those before the data of a COPY are sent on at once.
  std::string relay(sandbox_client& who, const sandbox_part& what, bool& failed) {
    std::string out;
    last_complete_ = 0;
    wires_.send_to_server(what.messages);
    bool copies = false;
    for (;;) {
      while (copies && !who.in.empty()) {
        const std::string data = take_message(who.in);
        if (data.empty()) break;
        wires_.send_to_server(data);
        copies = data[0] == 'd';
      }
      if (copies && who.gone) {
        wires_.send_to_server(wire::message('f', wire::z("the client has gone")));
        copies = false;
      }
      const std::string got = copies ? next_of_both(who) : wires_.from_server(&who);
      if (got.empty() && copies && !wires_.server_gone()) continue;
      if (got.empty()) {
        failed = true;
        wires_.send_to(who, out + wires_.lost_message());
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
      wires_.send_to(who, std::exchange(out, {}));
      copies = true;
    }
  }
  /// While the client sends data: a message of the server, or none when the client has sent more.
  std::string next_of_both(sandbox_client& who) {
    std::string got = wires_.received();
    if (!got.empty() || wires_.server_gone()) return got;
    wires_.wait({.reads = &who});
    return wires_.received();
  }

  sandbox_wires wires_;
  duration patience_;
  sandbox_client* owner_ = nullptr;      ///< is in a transaction
  clock::time_point owner_seen_{};       ///< its last request's end
  clock::time_point refuse_at_ = never;  ///< when a client has waited too long for it
  std::size_t last_complete_ = 0;        ///< where the last CommandComplete of a part begins
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
