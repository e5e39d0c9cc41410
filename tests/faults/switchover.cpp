// SPDX-License-Identifier: BSL-1.0
// tidepool - how soon after there is a writable primary the first caller is served, and that none is refused, with the pool's defaults:
// rows 20c, 21f.
#include <libpq-fe.h>
#include <signal.h>

#include <atomic>
#include <string>
#include <thread>

#include "checks.hpp"
#include "pair.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

/// Asks a standby over one session of plain libpq every 5 ms whether it still is one.
class role_watch {
 public:
  explicit role_watch(const server& at)
      : session_(PQconnectdb((at.admin_conninfo() + " application_name=role_watch").c_str())), thread_([this] { run(); }) {}
  role_watch(const role_watch&) = delete;
  role_watch& operator=(const role_watch&) = delete;
  ~role_watch() {
    over_ = true;
    thread_.join();
    PQfinish(session_);
  }
  /// When it was the primary; `moment::max()`: it has not become one.
  moment writable() {
    const auto until = clock::now() + 30s;
    while (at_.load() == moment::max() && clock::now() < until) wait_for(1ms);
    return at_.load();
  }

 private:
  void run() {
    while (!over_ && at_.load() == moment::max()) {
      PGresult* const said = PQexec(session_, "select pg_is_in_recovery()");
      if (PQntuples(said) == 1 && PQgetvalue(said, 0, 0)[0] == 'f') at_ = clock::now();
      PQclear(said);
      wait_for(5ms);
    }
  }

  PGconn* session_;
  std::atomic<moment> at_{moment::max()};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// One change of the primary.
struct change {
  double away_ms = 0;           ///< from the fault to a writable primary
  double first_ms = 0;          ///< from there to the first success
  std::uint64_t refused = 0;    ///< callers without a lease
  std::uint64_t in_flight = 0;  ///< that had a connection
  std::string why;              ///< of the first refusal
};

change change_primary(rig& watched, server& from, const server& to, bool killed) {
  role_watch role(to);
  const auto hit = clock::now();
  if (killed) {
    from.signal(from.postmaster(), SIGKILL);
  } else {
    from.stop("fast");
  }
  to.promote();
  const auto writable = role.writable();
  wait_for(500ms);
  CHECK(watched.await_successes(40));
  change out;
  auto first = moment::max();
  for (const auto& r : watched.requests()) {
    if (r.ended < hit) continue;
    if (r.how == ending::ok) {
      if (r.ended >= writable) first = std::min(first, r.ended);
    } else if (r.how == ending::no_lease) {
      ++out.refused;
      if (out.why.empty()) out.why = r.why;
    } else {
      ++out.in_flight;
    }
  }
  out.away_ms = std::chrono::duration<double, std::milli>(writable - hit).count();
  out.first_ms = std::chrono::duration<double, std::milli>(first - writable).count();
  return out;
}

void change_again_and_again(const std::string& row, bool killed) {
  const int rounds = long_mode() ? 10 : 1;
  pair_of_servers both(killed ? "lost" : "given");
  setup with = both.load();
  with.as_delivered = true;
  with.acquire_timeout = 30s;  // of a server that starts slowly no caller shall hear
  rig watched(with);
  REQUIRE(watched.start());
  const auto began = clock::now();
  server* primary = &both.first;
  server* standby = both.second.get();
  std::vector<double> first;
  std::string told;
  std::uint64_t in_flight = 0;
  for (int i = 0; i < rounds; ++i) {
    const auto c = change_primary(watched, *primary, *standby, killed);
    INFO("away for " << c.away_ms << " ms, then " << c.first_ms << " ms; refused: " << c.why);
    CHECK(c.refused == 0);
    CHECK(c.first_ms < 300 + slack_ms());
    CHECK(c.in_flight <= 20);
    in_flight += c.in_flight;
    first.push_back(c.first_ms);
    std::swap(primary, standby);
    if (i + 1 == rounds) break;
    primary->admin("checkpoint");  // pg_rewind wants one of the new time line
    bool back = false;
    for (int attempt = 0; attempt < 20 && !back; ++attempt) {  // after kill -9 its children may still be there
      if (attempt > 0) wait_for(200ms);
      back = run_program({servers_script(), "demote", standby->dir(), primary->dir()}).status == 0;
    }
    REQUIRE(back);
    for (int n = 0; n < 500 && primary->admin("select 1 from pg_stat_replication where state = 'streaming'").empty(); ++n) wait_for(20ms);
    wait_for(1500ms);  // full again, and at rest
  }
  auto m = judge(watched, began, began);
  std::sort(first.begin(), first.end());
  m.recover_ms = first.back();
  m.detect_ms = -1;
  check_common(watched, m, *primary);
  const auto whole = [](double ms) { return std::to_string(static_cast<int>(ms + 0.5)); };
  report(row, m,
         std::to_string(rounds) + " times, first success after a writable primary: " + whole(first.front()) + " to " + whole(first.back()) +
             " ms, median " + whole(first[first.size() / 2]) + " ms; refused 0, in flight " + std::to_string(in_flight));
}

}  // namespace

TEST_CASE("row 21: given defaults and a list of hosts, when the primary is switched, then no caller is refused", "[faults][field-L4]") {
  NEEDS_OWN_SERVER();
  change_again_and_again("21f", false);
}

TEST_CASE("row 20: given defaults and a list of hosts, when the primary is killed, then no caller is refused", "[faults][field-L4]") {
  NEEDS_OWN_SERVER();
  change_again_and_again("20c", true);
}
