// SPDX-License-Identifier: BSL-1.0
// tidepool - what an error of the pool says: one sentence with the cause, one line of details.
#ifndef TIDEPOOL_IMPL_POOL_ERROR_IPP
#define TIDEPOOL_IMPL_POOL_ERROR_IPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../detail/util/words.hpp"
#include "../pool_error.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

/// What is zero, or not known, is left out.
class error_text {
 public:
  explicit error_text(const error_report& report) : r_(report) {}

  std::string text(std::string_view between) const {
    std::string out = "pool \"" + one_line(r_.pool) + "\": " + what_failed();
    if (const std::string at = place(r_.where); !at.empty()) out += asked_for() + at;
    if (const std::string why = cause(); !why.empty()) out += ": " + why;
    if (const std::string more = details(); !more.empty()) out.append(between).append(more);
    return out;
  }

 private:
  using call = pool_call;

  static void add(std::string& to, const std::string& part, const char* between) {
    if (!part.empty()) to += (to.empty() ? "" : between) + part;
  }

  // --- the sentence ---------------------------------------------------------------------------------------------------

  std::string what_failed() const {
    const std::string after = r_.waited > duration::zero() ? " after " + in_words(r_.waited) : "";
    const bool cancelled = r_.why == errc::cancelled;
    switch (r_.call) {
      case call::open: return cancelled ? "open() was cancelled by its caller" + after : "open() failed" + after;
      case call::close: return cancelled ? "close() was cancelled by its caller" + after : "close() was cut short" + after;
      case call::detach: return "no connection to detach" + after;
      case call::acquire: break;
    }
    if (cancelled) return "the acquire was cancelled by its caller" + after;
    if (r_.why == errc::queue_full) return "no connection, the queue is full";
    if (r_.why != errc::timeout) return "no connection" + after;
    if (r_.limit <= duration::zero()) return "no connection at once";
    if (r_.limit == no_limit) return "no connection" + after;
    std::string out = "no connection within " + in_words(r_.limit);
    // The thread was busy, or stopped.
    if (r_.waited - r_.limit > r_.limit / 2 + std::chrono::milliseconds(10)) out += " (it took " + in_words(r_.waited) + " to find out)";
    return out;
  }
  const char* asked_for() const {
    if (r_.call == call::acquire) return ", asked for at ";
    return r_.call == call::detach ? ", acquired at " : ", called at ";
  }

  std::string cause() const {
    if (r_.destroyed && r_.call != call::detach) return "the pool was destroyed";
    switch (r_.call) {
      case call::detach:
        return std::string("the pool has shut this connection, because ") +
               (r_.taken_back == close_reason::abandoned   ? "it was held for abandon_timeout"
                : r_.taken_back == close_reason::reclaimed ? "reclaim() was called for it"
                                                           : "the grace of close() was over");
      case call::close: return occupancy();
      case call::open:
        if (r_.why == errc::closed) return r_.state == pool_state::closed ? "the pool is closed" : "the pool is being closed";
        if (r_.why == errc::cancelled && !connects_are_the_matter()) return opened();
        return connect_trouble();
      case call::acquire: break;
    }
    if (r_.state == pool_state::closed) return "the pool is closed";
    if (r_.state == pool_state::closing) return "the pool is being closed";
    std::string out;
    const std::string others = r_.waiting > 0 ? counted(r_.waiting, "other waits", "others wait") : "";
    if (r_.why == errc::queue_full) {
      const std::string bound = "max_waiting is " + std::to_string(r_.max_waiting);
      out = others.empty() ? bound : others + " (" + bound + ")";
    }
    if (connects_are_the_matter()) {
      add(out, connect_trouble(), ", ");
    } else if (r_.state == pool_state::suspended) {
      add(out, "the pool is suspended", ", ");
    } else if (r_.server_is_silent()) {
      add(out, silence(), ", ");
    } else {
      add(out, occupancy(), ", ");
    }
    if (r_.why != errc::queue_full) add(out, others, ", ");
    return out;
  }

  bool connects_are_the_matter() const {
    if (r_.why == errc::connect_failed || r_.why == errc::circuit_open) return true;
    return r_.connecting_fails() && r_.state != pool_state::suspended && alive() == 0;
  }
  std::size_t alive() const { return r_.active + r_.idle + r_.validating + r_.resetting; }

  /// The connect error first.
  std::string connect_trouble() const {
    const std::string known = one_line(r_.last_connect_error);
    std::string out = known.empty() ? "connecting fails" : known;
    std::string more;
    if (r_.connect_failures > 1) {
      add(more, std::to_string(r_.connect_failures) + " failed connects in a row", ", ");
      if (r_.last_connect_error_age >= std::chrono::milliseconds(1))
        add(more, "the last " + in_words(r_.last_connect_error_age) + " ago", ", ");
    } else if (r_.last_connect_error_age >= std::chrono::milliseconds(1)) {
      add(more, in_words(r_.last_connect_error_age) + " ago", ", ");
    }
    if (r_.breaker == breaker_state::open) add(more, "the circuit breaker is open", ", ");
    add(more, next_try(), ", ");
    return more.empty() ? out : out + " (" + more + ")";
  }
  std::string next_try() const {
    if (r_.connecting > 0) return "the next one is under way";
    if (r_.next_connect == no_limit) return "";
    const bool now = r_.next_connect <= duration::zero();
    if (r_.next_connect_by_itself) return now ? "tries again now" : "tries again in " + in_words(r_.next_connect);
    return "the next acquire tries again" + (now ? "" : ", in " + in_words(r_.next_connect) + " at the earliest");
  }
  std::string silence() const {
    return "the server" + (r_.silent_server.empty() ? "" : " " + one_line(r_.silent_server)) + " has not answered " +
           (r_.active == 1 ? "the only lease" : std::to_string(r_.silent) + " of " + counted(r_.active, "lease", "leases")) + " for " +
           in_words(r_.longest_silence);
  }
  std::string opened() const { return std::to_string(alive()) + " of " + std::to_string(r_.min_size) + " connections are open"; }

  /// Where the connections are.
  std::string occupancy() const {
    std::string out;
    const std::string max = std::to_string(r_.max_size);
    if (r_.active > r_.max_size) {
      add(out, std::to_string(r_.active) + " are leased and max_size is " + max, ", ");
    } else if (r_.active == r_.max_size && r_.call == call::acquire) {
      add(out, r_.active == 1 ? "the only one is leased" : "all " + max + " are leased", ", ");
    } else if (r_.active > 0) {
      add(out,
          r_.call == call::close ? counted(r_.active, "is leased", "are leased")
                                 : std::to_string(r_.active) + " of " + max + (r_.active == 1 ? " is leased" : " are leased"),
          ", ");
    }
    const auto some = [&](std::size_t n, const char* one, const char* many) {
      if (n > 0) add(out, counted(n, one, many), ", ");
    };
    some(r_.idle, "is idle", "are idle");
    some(r_.connecting, "is connecting", "are connecting");
    some(r_.validating, "is being validated", "are being validated");
    some(r_.resetting, "is being reset", "are being reset");
    some(r_.closing, "is being closed", "are being closed");
    if (out.empty()) return r_.call == call::acquire ? "none is open" : "";
    return out;
  }

  // --- the details ----------------------------------------------------------------------------------------------------

  std::string details() const {
    std::string out;
    const bool of_use = r_.call != call::detach && !(r_.call == call::acquire && r_.why == errc::closed);
    if (of_use && !r_.holders.empty()) {
      out = "held longest: " + listed(r_.holders);
      if (r_.active > r_.holders.size()) out += ", and " + std::to_string(r_.active - r_.holders.size()) + " more";
    }
    if (of_use && r_.call == call::acquire && r_.connecting_fails() && !connects_are_the_matter()) {
      add(out, "no more can be opened: " + connect_trouble(), "; ");
    }
    add(out, what_to_do(), "; ");
    return out;
  }
  std::string what_to_do() const {
    if (r_.why == errc::cancelled)
      return r_.call == call::acquire ? "" : std::string("the pool goes on ") + (r_.call == call::open ? "opening" : "closing");
    if (r_.call == call::detach) return "detach it earlier";
    if (r_.why == errc::closed) return "what uses the pool has to end before it is closed, and before it is destroyed";
    if (r_.call == call::open) {
      return std::string("the pool is closed now; ") + (fails_for_good() ? to_correct : "start_mode::lazy would go on trying");
    }
    if (connects_are_the_matter()) {
      if (fails_for_good()) return to_correct;
      switch (r_.connect_failure) {
        case failure_kind::server_full: return "the server has no room: lower max_size of its clients, or raise its limit";
        case failure_kind::starting: return "the server is starting: wait for it";
        case failure_kind::wrong_role: return "no server has the wanted role: wait for the failover, or correct what is asked for";
        default: return "check the server and the network to it";
      }
    }
    if (r_.state == pool_state::suspended) return "resume() ends that";
    if (r_.why == errc::queue_full) return "take less work at once, hold leases for less time, or raise max_size or max_waiting";
    if (r_.server_is_silent()) return "check the server; response_timeout ends such waits";
    if (r_.active >= r_.max_size) return "hold leases for less time, or raise max_size";
    if (r_.limit <= duration::zero()) return "an acquire that does not wait opens no connection: give it time, or raise min_size";
    if (r_.connecting > 0) return "a connect takes longer than the acquire may wait: check the server, or raise the acquire's timeout";
    if (r_.validating > 0) return "a validation takes longer than the acquire may wait: check the server";
    if (r_.resetting + r_.closing > 0) return "a reset or a close takes longer than the acquire may wait: check the server";
    return "";
  }
  bool fails_for_good() const { return r_.connecting_fails() && r_.connect_failure == failure_kind::permanent; }
  static constexpr const char* to_correct = "this does not pass by itself: correct the settings of the connector";

  const error_report& r_;
};

}  // namespace detail

const char* error_report::bottleneck() const noexcept {
  if (why == errc::connect_failed || why == errc::circuit_open) return "connecting fails";
  if (state == pool_state::suspended) return "the pool is suspended";
  if (state == pool_state::closing || state == pool_state::closed) return "the pool is closed";
  if (server_is_silent()) return "the server is silent";
  if (active >= max_size) return "every connection is leased";
  if (connecting > 0) return "a connect was under way";
  if (validating > 0) return "a validation was under way";
  if (resetting > 0) return "a reset was under way";
  if (closing > 0) return "connections were being closed";
  if (connecting_fails()) return "connecting fails";
  return "no connection was free";
}
std::string error_report::text(std::string_view between) const { return detail::error_text(*this).text(between); }

pool_error::story::story(error_report&& from) : report(std::move(from)), text(report.text()) {}
pool_error::pool_error(errc code, error_report report) : system_error(make_error_code(code)) {
  report.why = code;
  told_ = std::make_shared<const story>(std::move(report));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
