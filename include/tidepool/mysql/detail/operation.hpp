// SPDX-License-Identifier: BSL-1.0
// tidepool - an operation of a session, from its beginning to its end, whatever becomes of it.
#ifndef TIDEPOOL_MYSQL_DETAIL_OPERATION_HPP
#define TIDEPOOL_MYSQL_DETAIL_OPERATION_HPP

#include <string>
#include <string_view>

#include "../../version.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Whether an operation may begin while a cancelled transaction is open: those that end it may.
enum class allow { always, clean };

/// Marks a session busy for one operation; the client library does not notice a second one. One that is destroyed before `finished()`
/// leaves the protocol in the middle of an answer: the connection cannot be used any more.
template <class = void>
class basic_operation {
 public:
  basic_operation(session& on, const char* verb, allow when = allow::clean) : on_(on), verb_(verb) {
    if (on.busy) refuse_second(on, verb);
    if (on.my() == nullptr || !on.has_socket() || on.broken || on.shutdown->reason() != shutdown_reason::none) {
      throw on.lost("before this operation");
    }
    if (when == allow::clean && on.needs_reset) throw error(errc::needs_reset, "a cancelled transaction is still open: reset() first");
    on.touched = true;
    on.busy = true;
    on.named = verb;
    on.cancels->activity.fetch_add(1);
    on.begin_limits();
  }
  basic_operation(const basic_operation&) = delete;
  basic_operation& operator=(const basic_operation&) = delete;
  ~basic_operation() {
    on_.busy = false;
    on_.held = false;
    on_.named = nullptr;
    on_.current = nullptr;
    on_.cancels->activity.fetch_add(1);
    if (on_.traced) on_.traced->end(clock::now(), finished_);
    if (finished_) return;
    on_.broken = true;
    if (on_.left == nullptr) on_.left = verb_;
  }
  void finished() noexcept { finished_ = true; }
  /// For the program's tracing.
  void trace(std::string_view tag, const source_location& from) const noexcept {
    if (on_.traced) on_.traced->begin(clock::now(), tag, {}, from, on_.peer);
  }
  /// From here on an object keeps it open.
  void hold() noexcept { on_.held = true; }

 private:
  [[noreturn, gnu::cold]] static void refuse_second(const session& s, std::string_view second) {
    const std::string first = s.named == nullptr ? "another operation" : s.named;
    throw error(errc::busy, std::string(second) + " was started while " + first + (s.held ? " is open" : " is running") +
                                " on this connection, which serves one at a time: " +
                                (s.held ? "read it to its end or co_await its close() first" : "co_await the first before the second") +
                                ", or give each a lease of its own");
  }

  session& on_;
  const char* verb_;
  bool finished_ = false;
};
using operation = basic_operation<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
