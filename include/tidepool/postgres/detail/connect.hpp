// SPDX-License-Identifier: BSL-1.0
// tidepool - connecting to the first server that fits: one address at a time, each with its own deadline.
//
// libpq blocks while it looks up names, has no deadline in its asynchronous calls, and waits for ever for a silent host. So names are
// looked up here, libpq gets one numeric address at a time, and the choice between servers is made here.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CONNECT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CONNECT_HPP

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "address_memory.hpp"
#include "connect_address.hpp"
#include "host_resolver.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// A call of a function that the libpq of compile time has and that of run time lacks would end the program: this throws before that.
template <class = void>
inline void check_libpq(int version) {
#ifndef LIBPQ_HAS_PIPELINING
#error "tidepool::postgres needs libpq 14 or newer"
#elif defined(LIBPQ_HAS_ASYNC_CANCEL) || defined(LIBPQ_HAS_CHUNK_MODE) || defined(LIBPQ_HAS_CLOSE_PREPARED) || \
    defined(LIBPQ_HAS_SEND_PIPELINE_SYNC)
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

/// Collects the failures of all attempts of one connect, and makes one error of them.
template <class = void>
class basic_search_report {
 public:
  void add(connect_error failure) { failures_.push_back(std::move(failure)); }
  void add_untried(std::size_t addresses) noexcept { untried_ += addresses; }

  /// The failure that says most decides the kind and the SQLSTATE: that a server is full says more than that another one is down. The text
  /// names each server with its own reason.
  connect_error summary(std::size_t servers) const {
    if (failures_.empty()) return {errc::connect_timeout, "the time was over before any server could be tried"};
    const connect_error* best = &failures_.front();
    for (const auto& failure : failures_) {
      if (weight(failure) >= weight(*best)) best = &failure;
    }
    if (failures_.size() == 1 && untried_ == 0) return *best;
    std::string text = "no server of " + std::to_string(servers) + " can be used";
    for (std::size_t i = 0; i < failures_.size() && i < most_told; ++i) text += "; " + printable(without_advice(failures_[i]), 120);
    if (failures_.size() > most_told) text += "; and " + std::to_string(failures_.size() - most_told) + " more";
    if (untried_ > 0) text += "; no time was left for " + std::to_string(untried_) + " more";
    diagnosis said;
    said.sqlstate = best->sqlstate();
    said.severity = best->severity();
    said.advice = best->diagnosis().advice;
    return {best->reason(), text, std::move(said), best->kind()};
  }

 private:
  static constexpr std::size_t most_told = 5;  // what() is to stay readable

  /// That of the best one stands at the end.
  static std::string_view without_advice(const connect_error& failure) {
    const auto& advice = failure.diagnosis().advice;
    auto text = failure.explanation();
    if (!advice.empty()) text.remove_suffix(advice.size() + 2);  // "; "
    return text;
  }
  int weight(const connect_error& failure) const {
    switch (failure.kind()) {
      case failure_kind::permanent: {
        // A refusal of TLS is about one server alone: another one, which is only down, may serve the next attempt.
        const auto same = [](const auto& other) { return other.kind() == failure_kind::permanent; };
        return std::all_of(failures_.begin(), failures_.end(), same) ? 6 : 0;
      }
      case failure_kind::server_full: return 5;
      case failure_kind::starting: return 4;
      case failure_kind::wrong_role: return 3;
      case failure_kind::refused: return 2;
      default: return 1;
    }
  }

  std::vector<connect_error> failures_;
  std::size_t untried_ = 0;
};
using search_report = basic_search_report<>;

/// One search for a server: its input, and what was found so far.
template <class = void>
struct basic_server_search {
  basic_server_search(asio::any_io_executor where, std::shared_ptr<const options> how, std::shared_ptr<address_memory> known,
                      login_parameters with, clock::time_point end)
      : executor(std::move(where)), settings(std::move(how)), memory(std::move(known)), login(std::move(with)), until(end) {}

  /// The time for one of `left` addresses and names: an equal part of what is left, so that the last one gets some too.
  duration share(std::size_t left) const {
    if (until == clock::time_point::max()) return settings->address_timeout;
    const auto rest = std::max<duration>(until - clock::now(), std::chrono::milliseconds(1));
    return std::min<duration>(settings->address_timeout, rest / static_cast<duration::rep>(std::max<std::size_t>(left, 1)));
  }
  bool time_is_over() const { return clock::now() >= until; }

  asio::any_io_executor executor;
  std::shared_ptr<const options> settings;
  std::shared_ptr<address_memory> memory;
  login_parameters login;
  clock::time_point until;
  std::function<asio::awaitable<void>(session_ptr)> on_connect = {};
  search_report report = {};
  session_ptr second_choice = {};  ///< a primary where a standby is preferred: used when no standby is found
};
using server_search = basic_server_search<>;

/// A refusal that every other server would repeat: wrong password, no such database.
template <class = void>
inline bool ends_search(const connect_error& failure) {
  return failure.kind() == failure_kind::permanent && failure.reason() != errc::tls_refused;
}

/// Runs `options::on_connect` within `limit`.
template <class = void>
inline asio::awaitable<void> run_on_connect(server_search& search, session_ptr s, duration limit) {
  if (!search.on_connect) co_return;
  deadline_guard guard(search.executor, limit, s->shutdown);
  std::unique_ptr<error> lost;
  try {
    co_await search.on_connect(s);
  } catch (const error& failure) {
    if (!failure.connection_lost()) throw;
    lost = std::make_unique<error>(failure);
  }
  if (!guard.disarm() || s->shutdown->reason() == shutdown_reason::deadline) {
    throw connect_error(errc::connect_timeout, s->peer + ": on_connect did not end within " + seconds_text(limit));
  }
  if (lost) throw connect_error(errc::connect_failed, s->peer + ": on_connect: " + std::string(lost->explanation()));
}

/// Tries one address: returns the session, or null with a line in the report. The outcome is remembered, also when this is cancelled.
template <class = void>
inline asio::awaitable<session_ptr> try_address(server_search& search, const target& where, duration limit) {
  const auto wanted = search.settings->target();
  attempt_note note(search.memory, where.text(), search.settings->bad_host_memory);
  std::unique_ptr<connect_error> failed;
  session_ptr made;
  const auto until = deadline_of(limit);
  try {
    made = co_await connect_to_address(search.executor, search.settings, search.login, where, limit);
    made->addresses = search.memory;
    if (wanted == session_attrs::prefer_standby && !made->standby) {
      note.settle(address_memory::mark::wrong_role, search.settings->bad_host_memory);
      if (search.second_choice == nullptr) search.second_choice = std::move(made);
      co_return nullptr;
    }
    if (!made->wrong_role) co_await run_on_connect(search, made, std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)));
  } catch (const connect_error& failure) {
    failed = std::make_unique<connect_error>(failure);
  }
  if (!failed && made->wrong_role) {
    // The server is alive, only of the wrong kind. Where the primary is wanted there is one alone: this server is tried after the others
    // until its kind has changed. Where standbys are wanted there may be many, and this one is tried in its place again after a while.
    const bool one = wanted == session_attrs::read_write || wanted == session_attrs::primary;
    note.settle(address_memory::mark::wrong_role, one ? duration(no_limit) : search.settings->bad_host_memory);
    failed = std::make_unique<connect_error>(errc::connect_failed,
                                             where.text() + ": the server is not what target_session_attrs asks for (" +
                                                 std::string(search.settings->get("target_session_attrs")) + ")",
                                             diagnosis{}, failure_kind::wrong_role);
  } else if (!failed) {
    note.settle(address_memory::mark::good);
    made->touched = false;
    co_return made;
  } else if (failed->kind() == failure_kind::server_full || ends_search(*failed)) {
    note.settle(address_memory::mark::good);  // alive
  }
  if (ends_search(*failed) && search.second_choice == nullptr) throw connect_error(*failed);
  search.report.add(std::move(*failed));
  co_return nullptr;
}

/// Tries the addresses of one host that have not failed lately; the others go to `later`.
template <class = void>
inline asio::awaitable<session_ptr> try_host(server_search& search, const endpoint& host, std::size_t hosts_left,
                                             std::vector<target>& later) {
  const auto& memory = *search.memory;
  std::vector<std::string> addresses;
  {
    attempt_note note(search.memory, lookup_key(host), search.settings->bad_host_memory);
    std::unique_ptr<connect_error> failed;
    try {
      addresses = co_await resolve(search.executor, host, search.share(1 + hosts_left + later.size()));
    } catch (const connect_error& failure) {
      failed = std::make_unique<connect_error>(failure);
    }
    if (failed) {
      if (ends_search(*failed)) throw connect_error(*failed);
      search.report.add(std::move(*failed));
      co_return nullptr;
    }
    note.settle(address_memory::mark::good);
  }
  if (search.settings->load_balance()) {
    auto random = seeded_random();
    std::shuffle(addresses.begin(), addresses.end(), random);
  } else {
    interleave_families(addresses);
  }
  std::vector<target> now;
  for (auto& address : addresses) {
    target where{host, std::move(address)};
    auto& list = memory.recall(where.text()) == address_memory::mark::good ? now : later;
    list.push_back(std::move(where));
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (search.time_is_over()) {
      search.report.add_untried(now.size() - i);
      co_return nullptr;
    }
    auto made = co_await try_address(search, now[i], search.share(now.size() - i + hosts_left + later.size()));
    if (made != nullptr) co_return made;
  }
  co_return nullptr;
}

/// Connects to the first server that answers and fits, until `until` at the latest; with `time_point::max()` only each address is bounded.
/// Throws `connect_error`. A refusal that every server would repeat (wrong password, no such database) ends the search; a refusal of TLS,
/// which is about one server alone, does not. `application`: see `login_parameters`.
template <class = void>
inline asio::awaitable<session_ptr> connect_to_server(asio::any_io_executor executor, std::shared_ptr<const options> settings,
                                                      std::shared_ptr<address_memory> memory, clock::time_point until,
                                                      std::function<asio::awaitable<void>(session_ptr)> hook, std::string application) {
  check_libpq(PQlibVersion());
  try {
    settings->check();
  } catch (const error& wrong) {
    throw connect_error(errc::bad_options, wrong.explanation());
  }
  auto hosts = host_order(*settings, *memory);
  auto login = co_await login_parameters::make(settings, std::move(application));
  server_search search(std::move(executor), settings, std::move(memory), std::move(login), until);
  search.on_connect = std::move(hook);
  std::vector<target> later;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (search.time_is_over()) {
      search.report.add_untried(hosts.size() - i);
      break;
    }
    auto made = co_await try_host(search, hosts[i], hosts.size() - i - 1, later);
    if (made != nullptr) co_return made;
  }
  // First those that were of the wrong kind, then those that failed.
  std::stable_sort(later.begin(), later.end(),
                   [&](const auto& a, const auto& b) { return search.memory->recall(a.text()) < search.memory->recall(b.text()); });
  for (std::size_t i = 0; i < later.size(); ++i) {
    if (search.time_is_over()) {
      search.report.add_untried(later.size() - i);
      break;
    }
    auto made = co_await try_address(search, later[i], search.share(later.size() - i));
    if (made != nullptr) co_return made;
  }
  if (search.second_choice != nullptr) {
    auto made = std::move(search.second_choice);
    co_await run_on_connect(search, made, search.share(1));
    made->touched = false;
    co_return made;
  }
  throw search.report.summary(hosts.size());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
