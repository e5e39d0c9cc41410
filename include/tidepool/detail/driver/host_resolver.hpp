// SPDX-License-Identifier: BSL-1.0
// tidepool - looks up host names. getaddrinfo blocks for as long as a name server takes, so it runs on threads: one for each name, at most
// 16 at once. A connect waits only as long as its limit, and leaves nothing behind when it stops waiting.
#ifndef TIDEPOOL_DETAIL_DRIVER_HOST_RESOLVER_HPP
#define TIDEPOOL_DETAIL_DRIVER_HOST_RESOLVER_HPP

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "gate.hpp"
#include "real_time.hpp"
#include "side_thread.hpp"
#include "text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// How many names are looked up at once; further ones wait, within their own time limit. Each name takes one place however many connects
/// wait for it, so it takes this many slow names to delay another one.
inline constexpr int most_lookups = 16;

/// A name being looked up. All of it is guarded by its resolver's mutex.
template <class = void>
struct basic_lookup {
  explicit basic_lookup(std::string what) : name(std::move(what)) {}
  const std::string name;
  bool begun = false;  ///< a thread is looking it up
  bool done = false;
  std::vector<std::string> addresses = {};
  std::string failure = {};
  std::vector<std::shared_ptr<tidepool::detail::gate_opener>> waiting = {};
};
using lookup = basic_lookup<>;

/// Looks up the names of all connects of the process, on threads: `getaddrinfo` blocks. Thread safe.
template <class = void>
class basic_host_resolver;
using host_resolver = basic_host_resolver<>;

template <class>
class basic_host_resolver : public std::enable_shared_from_this<host_resolver> {
 public:
  /// Shared with its threads, because they may outlive the statics of the program.
  static const std::shared_ptr<host_resolver>& instance() {
    static const auto resolver = std::make_shared<host_resolver>();
    return resolver;
  }

  /// Opens the gate once the name is looked up; joins a lookup of the same name that is under way.
  std::shared_ptr<lookup> ask(const std::string& name, const std::shared_ptr<tidepool::detail::gate_opener>& opener) {
    std::shared_ptr<lookup> entry;
    {
      const std::lock_guard lock(mutex_);
      auto& known = open_[name];
      if (known == nullptr) {
        auto made = std::make_shared<lookup>(name);
        queue_.push_back(made);
        known = std::move(made);  // last, because every entry here has to be in the queue as well
      }
      std::erase_if(known->waiting, [](const auto& each) { return each->expired(); });
      known->waiting.push_back(opener);
      entry = known;
      if (running_ >= most_lookups || queue_.empty()) return entry;
      ++running_;
    }
    const bool started = on_side_thread([self = shared_from_this()]() noexcept { self->work(); });
    if (!started) give_back_place();
    return entry;
  }
  /// A copy of its state now.
  lookup look(const std::shared_ptr<lookup>& entry) const {
    const std::lock_guard lock(mutex_);
    return *entry;
  }

 private:
  /// No thread could be started. Running ones will take the queue; where none runs, all lookups in it have failed.
  void give_back_place() noexcept {
    std::list<std::shared_ptr<lookup>> failed;
    {
      const std::lock_guard lock(mutex_);
      if (--running_ > 0) return;
      failed.swap(queue_);
      for (const auto& entry : failed) {
        entry->done = true;
        entry->failure = "no thread left";  // short enough to need no memory
        open_.erase(entry->name);
      }
    }
    // Without the lock: they are no longer in `open_`, so no other call can join them.
    for (const auto& entry : failed) open_all(entry->waiting);
  }
  static void open_all(const std::vector<std::shared_ptr<tidepool::detail::gate_opener>>& waiting) noexcept {
    for (const auto& each : waiting) each->open();
  }
  std::shared_ptr<lookup> next() {
    const std::lock_guard lock(mutex_);
    while (!queue_.empty()) {
      auto entry = std::move(queue_.front());
      queue_.pop_front();
      bool wanted = false;
      for (const auto& opener : entry->waiting) wanted = wanted || !opener->expired();
      if (wanted) {
        entry->begun = true;
        return entry;
      }
      open_.erase(entry->name);
    }
    --running_;
    return nullptr;
  }
  void work() noexcept {
    while (const auto entry = next()) {
      std::vector<std::string> addresses;
      std::string failure;
      try {
        failure = addresses_of(entry->name, addresses);
      } catch (...) {
        addresses.clear();
        failure = "out of memory";  // as above
      }
      std::vector<std::shared_ptr<tidepool::detail::gate_opener>> waiting;
      {
        const std::lock_guard lock(mutex_);
        entry->done = true;
        entry->addresses = std::move(addresses);
        entry->failure = std::move(failure);
        waiting.swap(entry->waiting);
        open_.erase(entry->name);
      }
      open_all(waiting);
    }
  }
  /// Blocks. Returns the reason where there is no address, else an empty text.
  static std::string addresses_of(const std::string& name, std::vector<std::string>& out) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int failure = ::getaddrinfo(name.c_str(), nullptr, &hints, &list);
    const int system = errno;
    if (failure != 0) return failure == EAI_SYSTEM ? tidepool::detail::system_category().message(system) : ::gai_strerror(failure);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(list, &::freeaddrinfo);
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
      std::array<char, NI_MAXHOST> text{};
      if (::getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST) == 0) {
        out.emplace_back(text.data());
      }
    }
    return out.empty() ? "no address" : "";
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<lookup>> open_;  ///< waiting for a place, or under way
  std::list<std::shared_ptr<lookup>> queue_;             ///< waiting for a place
  int running_ = 0;
};

/// Looks up `name`, and waits for `limit` at most: `done` is false where that was not enough. Throws when the caller is cancelled.
template <class = void>
inline asio::awaitable<lookup> look_up(asio::any_io_executor executor, std::string name, duration limit) {
  const auto resolver = host_resolver::instance();
  std::shared_ptr<lookup> entry;
  std::weak_ptr<tidepool::detail::gate> waiting;
  real_timer timer(executor);
  {
    // The timer's handler keeps the gate alive; the thread does not (see gate).
    const auto keeper = std::make_shared<tidepool::detail::gate_keeper>();
    waiting = keeper->waiting();
    timer.expires_after(limit);
    timer.async_wait([keeper](error_code) { keeper->open(); });
    entry = resolver->ask(name, keeper->opener());
  }
  co_await tidepool::detail::gate::wait(waiting);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) throw system_error(asio::error::make_error_code(asio::error::operation_aborted));
  co_return resolver->look(entry);
}
/// Why a lookup that is not done, or has failed, gave no address; for an error.
template <class = void>
inline std::string lookup_failure(const lookup& of, duration limit) {
  const std::string doing = "looking up \"" + printable(of.name, 80) + "\": ";
  if (of.done) return doing + printable(of.failure, 200);
  return doing + (of.begun ? "no answer within " + seconds_text(limit)
                           : "not begun within " + seconds_text(limit) + ": " + std::to_string(most_lookups) +
                                 " other names, the most at once, are being looked up without an answer");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
