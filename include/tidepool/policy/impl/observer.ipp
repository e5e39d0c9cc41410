// SPDX-License-Identifier: BSL-1.0
// tidepool - events in words.
#ifndef TIDEPOOL_POLICY_IMPL_OBSERVER_IPP
#define TIDEPOOL_POLICY_IMPL_OBSERVER_IPP

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../advice.hpp"
#include "../../detail/util/words.hpp"
#include "../../lint.hpp"
#include "../../pool_error.hpp"
#include "../../version.hpp"
#include "../observer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

void stderr_sink(log_level level, const std::string& line) { std::fprintf(stderr, "%s: %s\n", to_string(level), line.c_str()); }

log_observer::log_observer(sink out, level least) : out_(std::make_shared<shared>(std::move(out), least)) {}

inline std::string log_observer::times(std::size_t alike) {
  return alike > 1 ? " (" + std::to_string(alike) + " within 10 s)" : std::string();
}

template <class... Args>
void log_observer::say(level how, std::string_view pool, const char* format, Args... args) {
  if (wants(how)) out_->out(how, line(pool, format, args...));
}
template <class... Args>
std::string log_observer::line(std::string_view pool, const char* format, Args... args) {
  const int size = std::snprintf(nullptr, 0, format, args...);
  std::string text(pool);
  text += ": ";
  const std::size_t start = text.size();
  text.resize(start + static_cast<std::size_t>(size < 0 ? 0 : size));
  std::snprintf(text.data() + start, text.size() - start + 1, format, args...);
  // Labels and error texts may hold text of a client: it must not make new lines, nor control a terminal.
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

void log_observer::on_event(std::string_view p, const created_event& e) {
  char after[80] = "";
  if (e.failures > 0) {
    std::snprintf(after, sizeof after, ": connecting works again after %zu failures in %.0f s", e.failures, ms(e.failed_for) / 1e3);
  }
  // Whoever was told of the first failure is told of their end.
  say(e.failures > 0 ? level::warning : level::info, p, "connection %llu%s%.*s created in %.3f ms%s", number(e.id),
      e.server.empty() ? "" : " to ", width(e.server), chars(e.server), ms(e.connect_time), after);
}

void log_observer::on_event(std::string_view p, const destroyed_event& e) {
  say(level::info, p, "connection %llu%s%.*s destroyed: %s, age %.3f s%s%.*s", number(e.id), e.server.empty() ? "" : " to ",
      width(e.server), chars(e.server), to_string(e.reason), ms(e.age) / 1e3, e.cause.empty() ? "" : ": ", width(e.cause), chars(e.cause));
}

void log_observer::on_event(std::string_view p, const checkout_event& e) {
  say(level::debug, p, "checkout of %llu after %.3f ms", number(e.id), ms(e.waited));
}

void log_observer::on_event(std::string_view p, const checkin_event& e) {
  say(level::debug, p, "checkin of %llu after %.3f ms", number(e.id), ms(e.held));
}

void log_observer::on_event(std::string_view p, const connect_failed_event& e) {
  char lasted[48] = "";
  if (e.failing_for >= std::chrono::seconds(1)) std::snprintf(lasted, sizeof lasted, " in %.0f s", ms(e.failing_for) / 1e3);
  say(e.news && e.together == 1 ? level::warning : level::debug, p, "connect failed (%zu in a row%s): %.*s", e.failures_in_a_row, lasted,
      width(e.error), chars(e.error));
}

void log_observer::on_event(std::string_view p, const health_failed_event& e) {
  if (!rare(e.alike)) return;
  say(level::warning, p, "connection %llu%s%.*s failed its health check%s: %.*s", number(e.id), e.server.empty() ? "" : " to ",
      width(e.server), chars(e.server), times(e.alike).c_str(), width(e.error), chars(e.error));
}

void log_observer::on_event(std::string_view p, const leak_event& e) {
  constexpr const char* words[] = {"possible leak: lease of", "leaked lease came back:", "leaked lease reclaimed:"};
  if (!wants(level::warning)) return;
  // A lease that waits for a silent server is not reported as a leak.
  const bool waits = e.lease.waiting > duration::zero();
  const bool silent = waits && e.what == leak_event::kind::detected && e.lease.waiting >= e.lease.held / 2;
  const char* const what = silent ? "the server does not answer, lease of" : words[static_cast<int>(e.what)];
  char since[64] = "";
  if (waits) std::snprintf(since, sizeof since, ", waiting for the server for %.3f s", ms(e.lease.waiting) / 1e3);
  std::string text = line(p, "%s connection %llu held %.3f s%s, acquired at %s:%u in %s%s%s", what, number(e.lease.id),
                          ms(e.lease.held) / 1e3, since, e.lease.acquired_at.file_name(), static_cast<unsigned>(e.lease.acquired_at.line()),
                          e.lease.acquired_at.function_name(), e.lease.label.empty() ? "" : ", label ", e.lease.label.c_str());
  if (!e.stack.empty()) text.append("\n").append(e.stack);
  out_->out(level::warning, text);
}

void log_observer::on_event(std::string_view p, const scaled_event& e) {
  say(level::info, p, "target size %zu -> %zu at %.0f %% utilisation", e.from, e.to, e.utilization * 100);
}

void log_observer::on_event(std::string_view p, const breaker_event& e) {
  // The probes of an open one come every few seconds.
  const bool news = e.from == breaker_state::closed || e.to == breaker_state::closed;
  say(news ? level::warning : level::debug, p, "breaker %s -> %s", to_string(e.from), to_string(e.to));
}

void log_observer::on_event(std::string_view p, const state_event& e) {
  say(e.to == pool_state::critical ? level::error : level::info, p, "state %s -> %s: %.*s", to_string(e.from), to_string(e.to),
      width(e.reason), chars(e.reason));
}

void log_observer::on_event(std::string_view p, const reconfigured_event& e) {
  say(level::info, p, "reconfigured: %.*s", width(e.changes), chars(e.changes));
}

void log_observer::on_event(std::string_view p, const server_limit_event& e) {
  say(level::warning, p, "limits of %.*s: %s", e.server.empty() ? 10 : width(e.server), e.server.empty() ? "the server" : chars(e.server),
      e.finding.line().c_str());
}

void log_observer::on_event(std::string_view p, const stall_event& e) {
  const std::string late = detail::in_words(e.late);
  const std::string slept = detail::in_words(e.suspended);
  if (e.suspended > e.late) {
    say(level::warning, p, "stall: the machine slept for %s: idle connections are validated", slept.c_str());
  } else {
    say(level::warning, p,
        "stall: a timer fired %s late: the event loop was blocked, or the process stopped; idle connections are validated", late.c_str());
  }
}

void log_observer::on_event(std::string_view p, const idle_horizon_event& e) {
  const std::string after = detail::in_words(e.horizon);
  const std::string limit = detail::in_words(e.limit);
  if (e.kept) {
    say(level::warning, p, "idle connections die after %s: from now on they are closed and replaced after %s", after.c_str(),
        limit.c_str());
  } else {
    say(level::warning, p, "idle connections die after %s: set learn_idle_limit = true, or health_check_interval to half of it or less",
        after.c_str());
  }
}

void log_observer::on_event(std::string_view p, const advice_event& e) {
  if (!wants(level::info)) return;
  say(level::info, p, "advice: %s", to_string(e.advice).c_str());
}

void log_observer::on_event(std::string_view p, const slow_acquire_event& e) {
  if (!rare(e.alike)) return;
  say(level::warning, p, "slow acquire%s: %.3f s at %s:%u", times(e.alike).c_str(), ms(e.waited) / 1e3, e.where.file_name(),
      static_cast<unsigned>(e.where.line()));
}

void log_observer::on_event(std::string_view p, const acquire_failed_event& e) {
  const level how = e.why == errc::cancelled ? level::debug : level::warning;
  if (!wants(how) || !rare(e.alike)) return;
  std::string text = e.report.text("; ");
  const std::string name = "pool \"" + detail::one_line(p) + "\": ";  // every line begins with it
  if (text.compare(0, name.size(), name) == 0) text.erase(0, name.size());
  out_->out(how, line(p, "acquire failed%s: %s", times(e.alike).c_str(), text.c_str()));
}

void log_observer::on_event(std::string_view p, const unused_event& e) {
  say(level::info, p,
      "unused: nothing was acquired for %.0f s, and no lease is out. An open pool keeps io_context::run() from returning: close() it to "
      "end "
      "the program",
      ms(e.unused) / 1e3);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
