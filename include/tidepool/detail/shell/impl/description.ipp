// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool at one moment in words.
#ifndef TIDEPOOL_DETAIL_SHELL_IMPL_DESCRIPTION_IPP
#define TIDEPOOL_DETAIL_SHELL_IMPL_DESCRIPTION_IPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../../../version.hpp"
#include "../../util/words.hpp"
#include "../description.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// "3 idle, 1 closing": those that are not zero.
inline std::string counts_in_words(std::initializer_list<std::pair<std::uint64_t, const char*>> counts) {
  std::string out;
  for (const auto& [n, what] : counts) {
    if (n > 0) out += (out.empty() ? "" : ", ") + std::to_string(n) + " " + what;
  }
  return out;
}
inline std::string times_in_words(const histogram& of) {
  return "p50 " + in_words(of.quantile(0.5)) + ", p99 " + in_words(of.quantile(0.99)) + ", longest " + in_words((of.max)());
}
inline std::string more_in_words(std::size_t shown, std::size_t all) {
  return all > shown ? " and " + std::to_string(all - shown) + " more" : std::string();
}

inline std::string connections_in_words(const pool_stats& s) {
  const std::string states = counts_in_words({{s.active_connections, "leased"},
                                              {s.idle_connections, "idle"},
                                              {s.connecting, "connecting"},
                                              {s.validating, "being validated"},
                                              {s.resetting, "being reset"},
                                              {s.closing, "being closed"}});
  return std::to_string(s.total_connections) + " of at most " + std::to_string(s.max_size) + (states.empty() ? "" : ": ") + states +
         "; min_size " + std::to_string(s.min_size) + ", target " + std::to_string(s.target_size);
}
inline std::string callers_in_words(const pool_picture& of) {
  if (of.stats.waiting == 0) return "nobody";
  std::string out = counted(of.stats.waiting, "caller", "callers") + ", longest first: ";
  for (std::size_t i = 0; i < of.called; ++i) {
    const std::string from = place(of.callers[i].where);
    out += (i ? ", " : "") + in_words(of.callers[i].waited) + (from.empty() ? "" : " at ") + from;
  }
  return out + more_in_words(of.called, of.stats.waiting);
}
inline std::string holders_in_words(const pool_picture& of) {
  if (of.held == 0) return "nothing";
  return listed(std::span(of.holders.data(), of.held)) + more_in_words(of.held, of.stats.active_connections);
}
inline std::string breaker_in_words(const pool_picture& of) {
  std::string out = to_string(of.stats.breaker);
  if (of.outlook.failures_in_a_row == 0) return out;
  out += ", " + counted(of.outlook.failures_in_a_row, "failed connect", "failed connects") + " in a row in " +
         in_words(of.outlook.failing_for);
  return of.outlook.next_look == no_limit ? out : out + ", next connect in " + in_words(of.outlook.next_look);
}
inline std::string closed_in_words(const pool_stats& s) {
  std::string out;
  for (std::size_t i = 0; i < close_reasons; ++i) {
    const auto reason = static_cast<close_reason>(i);
    if (s.closed(reason) > 0) out += (out.empty() ? ": " : ", ") + std::to_string(s.closed(reason)) + " " + to_string(reason);
  }
  return std::to_string(s.connections_closed) + " closed" + out;
}

std::string describe(const pool_picture& of) {
  const pool_stats& s = of.stats;
  std::string out = "pool \"" + one_line(s.name.view()) + "\": " + to_string(s.state) + " (" + of.why + ")";
  const auto line = [&out](const char* label, const std::string& text) {
    out += std::string("\n  ") + label + ": ";
    out += text;
  };
  line("connections", connections_in_words(s));
  line("waiting", callers_in_words(of));
  line("held", holders_in_words(of));
  if (s.silent > 0) {
    line("silent server", one_line(of.silent_server.view()) + (of.silent_server.empty() ? "" : ", ") + "no answer for " +
                              in_words(s.longest_silence) + " in " + std::to_string(s.silent) + " of " +
                              counted(s.active_connections, "lease", "leases"));
  }
  line("breaker", breaker_in_words(of));
  line("last connect error", of.last_connect_error.empty()
                                 ? std::string("none")
                                 : in_words(of.last_connect_error_age) + " ago: " + one_line(of.last_connect_error.view()));
  const std::string failed = counts_in_words({{s.timeouts, "timed out"},
                                              {s.rejected_full, "queue full"},
                                              {s.refused_open, "breaker open"},
                                              {s.refused_connect, "connect failed"},
                                              {s.refused_closed, "closed"},
                                              {s.cancelled, "cancelled"}});
  line("acquires", std::to_string(s.total_checkouts) + " served, " + std::to_string(s.waited) + " of them after a wait; " +
                       std::to_string(s.failed_checkouts) + " failed" + (failed.empty() ? "" : ": ") + failed);
  line("waits", times_in_words(s.wait_time));
  line("connects", std::to_string(s.connections_created) + " made, " + std::to_string(s.connection_errors) + " failed, " +
                       times_in_words(s.connect_time) + "; " + closed_in_words(s));
  line("leases", times_in_words(s.hold_time) + " of those timed; " + std::to_string(s.leaks_detected) + " reported as leaks" +
                     (s.leaked > 0 ? ", " + std::to_string(s.leaked) + " of them still out" : ""));
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
