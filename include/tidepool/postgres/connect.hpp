// tidepool - making a connection: one address at a time, each with its own deadline.
//
// libpq blocks while it looks up names, knows no deadline in its asynchronous calls, and waits for ever for a silent host.
// So names are looked up by Asio, libpq gets one numeric address at a time, and the choice between servers is made here.
#ifndef TIDEPOOL_POSTGRES_CONNECT_HPP
#define TIDEPOOL_POSTGRES_CONNECT_HPP

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "detail/dial.hpp"
#include "detail/perform.hpp"

namespace tidepool::postgres::detail {

/// Which servers failed lately. Shared by all connects of one connector; thread safe.
class bad_hosts {
 public:
  void remember(const endpoint& host, duration span) {
    const std::lock_guard lock(mutex_);
    until_[host.text()] = clock::now() + std::chrono::duration_cast<clock::duration>(std::min<duration>(span, std::chrono::hours(24)));
  }
  void forget(const endpoint& host) {
    const std::lock_guard lock(mutex_);
    until_.erase(host.text());
  }
  bool contains(const endpoint& host) const {
    const std::lock_guard lock(mutex_);
    const auto at = until_.find(host.text());
    return at != until_.end() && at->second > clock::now();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, clock::time_point> until_;
};

/// The order in which servers are tried: as given or shuffled, those that failed lately last.
inline std::vector<endpoint> dial_order(const options& settings, const bad_hosts& bad) {
  auto order = settings.endpoints();
  if (settings.load_balance()) {
    auto random = seeded_random();
    std::shuffle(order.begin(), order.end(), random);
  }
  std::stable_partition(order.begin(), order.end(), [&](const endpoint& e) { return !bad.contains(e); });
  return order;
}

/// A function that the libpq of compile time has and the one of run time has not ends the program at its first call.
inline void check_libpq(int version) {
#ifndef LIBPQ_HAS_PIPELINING
#error "tidepool::postgres needs libpq 14 or newer"
#elif defined(LIBPQ_HAS_ASYNC_CANCEL) || defined(LIBPQ_HAS_CHUNK_MODE)
  constexpr int needed = 17;
#else
  constexpr int needed = 14;
#endif
  if (version >= needed * 10000) return;
  throw connect_error(
      errc::connect_failed,
      "this program was compiled for libpq " + std::to_string(needed) + " or newer, and runs with libpq " + std::to_string(version / 10000),
      {}, true);
}

/// Connects to the first server that answers and fits. Throws `connect_error`; a refusal that every server would repeat
/// (wrong password, no such database) ends the search; one of TLS, which is about this server alone, does not.
inline asio::awaitable<session_ptr> dial(asio::any_io_executor executor, std::shared_ptr<const options> settings,
                                         std::shared_ptr<bad_hosts> bad) {
  check_libpq(PQlibVersion());
  const dial_plan plan = co_await dial_plan::make(settings);
  std::vector<session_attrs> passes{settings->target()};
  if (passes[0] == session_attrs::prefer_standby) passes = {session_attrs::standby, session_attrs::any};
  const auto order = dial_order(*settings, *bad);
  std::vector<std::string> reports;
  std::unique_ptr<connect_error> last;
  bool tls_alone = true;  // nothing else has gone wrong
  const auto note = [&](const endpoint& host, const connect_error& failure, bool is_bad) {
    const std::string said(failure.explanation());
    if (reports.size() < 4) reports.push_back(order.size() > 1 ? host.text() + ": " + said : said);
    last = std::make_unique<connect_error>(failure);
    tls_alone = tls_alone && failure.reason() == errc::tls_refused;
    if (is_bad) bad->remember(host, settings->bad_host_memory);
  };
  for (const auto wanted : passes) {
    for (const auto& host : order) {
      std::vector<std::string> addresses;
      std::unique_ptr<connect_error> failed;
      try {
        addresses = co_await resolve(executor, host, settings->address_timeout);
      } catch (const connect_error& failure) {
        failed = std::make_unique<connect_error>(failure);
      }
      for (std::size_t i = 0; i < addresses.size(); ++i) {
        try {
          auto made = co_await dial_one(executor, settings, plan, host, addresses[i], wanted);
          if (!made->wrong_role) {
            bad->forget(host);
            made->touched = false;
            co_return made;
          }
          // Not a bad host: it is alive, only of the wrong kind.
          note(host, connect_error(errc::connect_failed, "the server is not what target_session_attrs asks for"), false);
          failed.reset();
        } catch (const connect_error& failure) {
          failed = std::make_unique<connect_error>(failure);
        } catch (const error& failure) {
          failed = std::make_unique<connect_error>(errc::connect_failed, failure.explanation());
        }
        const bool everywhere = failed && failed->kind() == failure_kind::permanent && failed->reason() != errc::tls_refused;
        if (everywhere) throw connect_error(*failed);
      }
      if (failed) note(host, *failed, failed->kind() == failure_kind::transient || failed->reason() == errc::tls_refused);
    }
  }
  if (reports.size() == 1) throw connect_error(*last);
  std::string text = "no server of " + std::to_string(order.size()) + " can be used";
  for (const auto& report : reports) text += "; " + report;
  diagnosis said;
  said.sqlstate = last->sqlstate();
  const auto reason = last->reason() == errc::tls_refused && !tls_alone ? errc::connect_failed : last->reason();
  throw connect_error(reason, text, std::move(said));
}

}  // namespace tidepool::postgres::detail

#endif
