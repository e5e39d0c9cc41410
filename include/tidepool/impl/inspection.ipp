// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool at one moment in words, and as JSON.
#ifndef TIDEPOOL_IMPL_INSPECTION_IPP
#define TIDEPOOL_IMPL_INSPECTION_IPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "../detail/util/json_writer.hpp"
#include "../detail/util/words.hpp"
#include "../inspection.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

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
inline std::string callers_in_words(const pool_inspection& of) {
  if (of.stats.waiting == 0) return "nobody";
  std::string out = counted(of.stats.waiting, "caller", "callers") + ", longest first: ";
  for (std::size_t i = 0; i < of.callers.size(); ++i) {
    const std::string from = place(of.callers[i].where);
    out += (i ? ", " : "") + in_words(of.callers[i].waited) + (from.empty() ? "" : " at ") + from;
  }
  return out + more_in_words(of.callers.size(), of.stats.waiting);
}
inline std::string holders_in_words(const pool_inspection& of) {
  if (of.leases.empty()) return "nothing";
  return listed(of.leases) + more_in_words(of.leases.size(), of.stats.active_connections);
}
inline std::string breaker_in_words(const pool_inspection& of) {
  std::string out = to_string(of.stats.breaker);
  if (of.connect_failures == 0) return out;
  out += ", " + counted(of.connect_failures, "failed connect", "failed connects") + " in a row in " + in_words(of.connecting_fails_for);
  return of.next_connect == no_limit ? out : out + ", next connect in " + in_words(of.next_connect);
}
inline std::string closed_in_words(const pool_stats& s) {
  std::string out;
  for (std::size_t i = 0; i < close_reasons; ++i) {
    const auto reason = static_cast<close_reason>(i);
    if (s.closed(reason) > 0) out += (out.empty() ? ": " : ", ") + std::to_string(s.closed(reason)) + " " + to_string(reason);
  }
  return std::to_string(s.connections_closed) + " closed" + out;
}

}  // namespace detail

std::string pool_inspection::describe() const {
  using namespace detail;
  const pool_inspection& of = *this;
  const pool_stats& s = stats;
  std::string out = "pool \"" + one_line(s.name.view()) + "\": " + to_string(s.state) + " (" + of.reason + ")";
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

std::string pool_inspection::to_json() const {
  detail::json_writer out;
  const auto time_or_null = [&out](const char* key, duration value) { value == no_limit ? out.add_null(key) : out.add(key, value); };
  const auto add_place = [&out](const source_location& where) {
    out.add("file", std::string_view(where.file_name()));
    out.add("line", std::uint64_t{where.line()});
    out.add("function", std::string_view(where.function_name()));
  };
  out.open();
  out.add_json("stats", stats.to_json());
  out.add("reason", std::string_view(reason));
  out.open_list("leases");
  for (const lease_report& lease : leases) {
    out.open();
    out.add("connection", lease.id);
    out.add("held", lease.held);
    out.add("label", lease.label.view());
    add_place(lease.acquired_at);
    out.add("waiting_for_server", lease.waiting);
    out.add_bool("reported", lease.reported);
    out.close();
  }
  out.close_list();
  out.open_list("callers");
  for (const caller_report& caller : callers) {
    out.open();
    out.add("waited", caller.waited);
    add_place(caller.where);
    out.close();
  }
  out.close_list();
  out.add("connect_failures", std::uint64_t{connect_failures});
  out.add("connecting_fails_for", connecting_fails_for);
  time_or_null("next_connect", next_connect);
  out.add("last_connect_error", last_connect_error.view());
  out.add("last_connect_error_age", last_connect_error_age);
  out.add("silent_server", silent_server.view());
  out.close();
  return out.take();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
