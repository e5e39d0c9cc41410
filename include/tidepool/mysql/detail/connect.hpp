// SPDX-License-Identifier: BSL-1.0
// tidepool - connecting to the first server that fits: one address at a time, each with its own deadline.
//
// The client library blocks while it looks up names, and waits for ever for a silent host. So names are looked up here, the library gets
// one numeric address at a time, and the choice between servers is made here.
#ifndef TIDEPOOL_MYSQL_DETAIL_CONNECT_HPP
#define TIDEPOOL_MYSQL_DETAIL_CONNECT_HPP

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../detail/driver/host_resolver.hpp"
#include "../../version.hpp"
#include "dial.hpp"
#include "reset.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// One search for a server: its input, and what was found so far.
template <class = void>
struct basic_server_search {
  basic_server_search(asio::any_io_executor on, std::shared_ptr<const options> how, std::shared_ptr<address_memory> known, login with,
                      clock::time_point end, std::function<asio::awaitable<void>(session_ptr)> hook)
      : executor(std::move(on)),
        settings(std::move(how)),
        memory(std::move(known)),
        as(std::move(with)),
        until(end),
        on_connect(std::move(hook)) {}

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
  login as;
  clock::time_point until;
  std::function<asio::awaitable<void>(session_ptr)> on_connect;
  std::vector<connect_error> failures{};
  std::size_t untried = 0;
};
using server_search = basic_server_search<>;

/// The failure that says most decides kind and number: that a server is full says more than that another one is down. The text names each
/// server with its own reason.
template <class = void>
inline connect_error summary_of(const server_search& search, std::size_t servers) {
  constexpr std::size_t most_told = 5;
  const auto& failures = search.failures;
  if (failures.empty()) return {errc::connect_timeout, "the time was over before any server could be tried"};
  const auto weight = [&failures](const connect_error& one) {
    switch (one.kind()) {
      case failure_kind::permanent: {
        // A refusal of TLS is about one server alone: another one, which is only down, may serve the next attempt.
        const auto same = [](const auto& other) { return other.kind() == failure_kind::permanent; };
        return std::all_of(failures.begin(), failures.end(), same) ? 6 : 0;
      }
      case failure_kind::server_full: return 5;
      case failure_kind::starting: return 4;
      case failure_kind::wrong_role: return 3;
      case failure_kind::refused: return 2;
      default: return 1;
    }
  };
  const connect_error* best = &failures.front();
  for (const auto& one : failures) {
    if (weight(one) >= weight(*best)) best = &one;
  }
  if (failures.size() == 1 && search.untried == 0) return *best;
  std::string text = "no server of " + std::to_string(servers) + " can be used";
  for (std::size_t i = 0; i < failures.size() && i < most_told; ++i) text += "; " + printable(failures[i].explanation(), 120);
  if (failures.size() > most_told) text += "; and " + std::to_string(failures.size() - most_told) + " more";
  if (search.untried > 0) text += "; no time was left for " + std::to_string(search.untried) + " more";
  diagnosis said;
  said.number = best->number();
  said.sqlstate = best->sqlstate();
  return {best->reason(), text, std::move(said), best->kind()};
}

/// A refusal that every other server would repeat: wrong password, no such database.
template <class = void>
inline bool ends_search(const connect_error& failed) {
  return failed.kind() == failure_kind::permanent && failed.reason() != errc::tls_refused;
}

/// What comes after the login: the server's role, and `options::on_connect`. Within `limit`.
template <class = void>
inline asio::awaitable<void> begin_session(server_search& search, session_ptr s, duration limit) {
  if (!search.settings->writable && !search.on_connect) co_return;
  deadline_guard guard(search.executor, limit, s->shutdown);
  std::unique_ptr<error> lost;
  try {
    if (search.settings->writable) co_await ask_role(s);
    if (!s->wrong_role && search.on_connect) co_await search.on_connect(s);
  } catch (const error& failed) {
    if (!failed.connection_lost()) throw;
    lost = std::make_unique<error>(failed);
  }
  if (!guard.disarm() || s->shutdown->reason() == shutdown_reason::deadline) {
    throw connect_error(errc::connect_timeout, s->peer + ": on_connect did not end within " + seconds_text(limit));
  }
  if (lost) throw connect_error(errc::connect_failed, s->peer + ": on_connect: " + std::string(lost->explanation()));
}

/// Tries one address: returns the session, or null with a failure in the search. The outcome is remembered, also when this is cancelled.
template <class = void>
inline asio::awaitable<session_ptr> try_address(server_search& search, const target& where, duration limit) {
  attempt_note note(search.memory, where.text(), search.settings->bad_host_memory);
  std::unique_ptr<connect_error> failed;
  session_ptr made;
  const auto until = later(clock::now(), limit);
  try {
    made = co_await dial(search.executor, search.settings, search.as, where, limit);
    made->addresses = search.memory;
    co_await begin_session(search, made, std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)));
  } catch (const connect_error& failure) {
    failed = std::make_unique<connect_error>(failure);
  }
  if (!failed && made->wrong_role) {
    note.settle(address_memory::mark::wrong_role, no_limit);
    failed = std::make_unique<connect_error>(errc::connect_failed, where.text() + ": the server is read-only (options::writable)",
                                             diagnosis{}, failure_kind::wrong_role);
  } else if (!failed) {
    note.settle(address_memory::mark::good);
    made->touched = false;
    co_return made;
  } else if (failed->kind() == failure_kind::server_full || ends_search(*failed)) {
    note.settle(address_memory::mark::good);  // alive
  }
  if (ends_search(*failed)) throw connect_error(*failed);
  search.failures.push_back(*failed);
  co_return nullptr;
}

/// The addresses of one host; none, with a failure in the search, where it has none.
template <class = void>
inline asio::awaitable<std::vector<target>> targets_of(server_search& search, const endpoint& host, duration limit) {
  std::vector<target> out;
  error_code named;
  if (!host.local()) (void)asio::ip::make_address(host.host, named);
  if (!named) {
    out.push_back({host, host.local() ? std::string() : host.host});
    co_return out;
  }
  attempt_note note(search.memory, "lookup of " + host.text(), search.settings->bad_host_memory);
  auto found = co_await tidepool::detail::driver::look_up(search.executor, host.host, limit);
  if (!found.done || !found.failure.empty()) {
    search.failures.emplace_back(found.done ? errc::connect_failed : errc::connect_timeout,
                                 tidepool::detail::driver::lookup_failure(found, limit));
    co_return out;
  }
  note.settle(address_memory::mark::good);
  if (search.settings->load_balance) {
    auto random = tidepool::detail::driver::seeded_random();
    std::shuffle(found.addresses.begin(), found.addresses.end(), random);
  } else {
    tidepool::detail::driver::interleave_families(found.addresses);
  }
  for (auto& address : found.addresses) out.push_back({host, std::move(address)});
  co_return out;
}

/// Connects to the first server that answers and fits, until `until` at the latest; with `time_point::max()` only each address is bounded.
/// Throws `connect_error`. A refusal that every server would repeat ends the search; a refusal of TLS, which is about one server alone,
/// does not. Addresses that failed lately are tried last.
template <class = void>
inline asio::awaitable<session_ptr> connect_to_server(asio::any_io_executor executor, std::shared_ptr<const options> settings,
                                                      std::shared_ptr<address_memory> memory, clock::time_point until,
                                                      std::function<asio::awaitable<void>(session_ptr)> hook) {
  std::vector<endpoint> hosts;
  try {
    settings->check();
    hosts = settings->endpoints();
  } catch (const error& wrong) {
    throw connect_error(errc::bad_options, wrong.explanation());
  }
  if (settings->load_balance) {
    auto random = tidepool::detail::driver::seeded_random();
    std::shuffle(hosts.begin(), hosts.end(), random);
  }
  std::stable_partition(hosts.begin(), hosts.end(),
                        [&](const endpoint& each) { return memory->recall("lookup of " + each.text()) == address_memory::mark::good; });
  auto as = co_await login::of(settings);
  server_search search(std::move(executor), settings, std::move(memory), std::move(as), until, std::move(hook));
  std::vector<target> last;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (search.time_is_over()) {
      search.untried += hosts.size() - i;
      break;
    }
    const auto hosts_left = hosts.size() - i - 1;
    auto found = co_await targets_of(search, hosts[i], search.share(1 + hosts_left + last.size()));
    std::vector<target> now;
    for (auto& each : found) {
      const bool good = search.memory->recall(each.text()) == address_memory::mark::good;
      (good ? now : last).push_back(std::move(each));
    }
    for (std::size_t k = 0; k < now.size(); ++k) {
      if (search.time_is_over()) {
        search.untried += now.size() - k;
        break;
      }
      auto made = co_await try_address(search, now[k], search.share(now.size() - k + hosts_left + last.size()));
      if (made != nullptr) co_return made;
    }
  }
  // First those that were of the wrong kind, then those that failed.
  std::stable_sort(last.begin(), last.end(),
                   [&](const auto& a, const auto& b) { return search.memory->recall(a.text()) < search.memory->recall(b.text()); });
  for (std::size_t i = 0; i < last.size(); ++i) {
    if (search.time_is_over()) {
      search.untried += last.size() - i;
      break;
    }
    auto made = co_await try_address(search, last[i], search.share(last.size() - i));
    if (made != nullptr) co_return made;
  }
  throw summary_of(search, hosts.size());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
