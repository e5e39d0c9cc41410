// SPDX-License-Identifier: BSL-1.0
// tidepool - what a recording tells, put in a form that can be printed or drawn: spans of connections, the queue, places.
#ifndef TIDEPOOL_EXAMPLES_REPLAY_STORY_HPP
#define TIDEPOOL_EXAMPLES_REPLAY_STORY_HPP

#include <tidepool/recording.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace story {

using tidepool::duration;
using tidepool::recorded_call;
using tidepool::recorded_event;
using tidepool::recorded_kind;
using tidepool::recording;

enum class doing { idle, connecting, leased, validating, resetting, closing };

/// A stretch of a connection's life.
struct span {
  doing what = doing::idle;
  duration from{};
  duration to{};
  std::uint16_t place = 0;  // of the caller who leases it
};
struct connection {
  tidepool::connection_id id = 0;
  std::vector<span> spans;
  std::size_t leases = 0;
  duration leased{};
  std::string end;  // why it is gone; empty: it is not
};

/// The lives of all connections, in order of their numbers.
inline std::map<tidepool::connection_id, connection> connections_of(const recording& from) {
  std::map<tidepool::connection_id, connection> out;
  const auto turn = [&](tidepool::connection_id id, duration at, doing next, std::uint16_t place = 0) {
    connection& c = out[id];
    c.id = id;
    if (!c.spans.empty()) c.spans.back().to = at;
    c.spans.push_back({next, at, from.made_at, place});
  };
  for (const auto id : from.open_at_begin()) turn(id, from.begins_at(), doing::idle);
  std::map<std::uint64_t, std::uint16_t> places;  // of waiting callers
  for (const recorded_event& e : from.events) {
    switch (e.kind) {
      case recorded_kind::asked: places[e.subject] = e.place; break;
      case recorded_kind::taken: turn(e.subject, e.at, doing::leased, e.place); break;
      case recorded_kind::granted: turn(e.value, e.at, doing::leased, places[e.subject]); break;
      case recorded_kind::returned: turn(e.subject, e.at, doing::idle); break;
      case recorded_kind::connect_begun: turn(e.subject, e.at, doing::connecting); break;
      case recorded_kind::connected:
        // The caller it was opened for may have it by now.
        if (out[e.subject].spans.empty() || out[e.subject].spans.back().what == doing::connecting) turn(e.subject, e.at, doing::idle);
        break;
      case recorded_kind::work_begun:
        turn(e.subject, e.at, e.code == 0 ? doing::validating : e.code == 1 ? doing::resetting : doing::closing);
        break;
      case recorded_kind::work_ended:
        if (out[e.subject].spans.empty() || out[e.subject].spans.back().what != doing::leased) turn(e.subject, e.at, doing::idle);
        break;
      case recorded_kind::connect_failed:
      case recorded_kind::destroyed: {
        connection& c = out[e.subject];
        c.id = e.subject;
        c.end = e.kind == recorded_kind::destroyed ? to_string(static_cast<tidepool::close_reason>(e.code)) : "connect failed";
        if (!c.spans.empty()) c.spans.back().to = e.at;
        break;
      }
      default: break;
    }
  }
  for (auto& [id, c] : out) {
    for (const span& s : c.spans) {
      if (s.what != doing::leased) continue;
      ++c.leases;
      c.leased += s.to - s.from;
    }
  }
  return out;
}

/// How many callers wait, from each of these times on.
inline std::vector<std::pair<duration, int>> queue_of(const std::vector<recorded_call>& calls) {
  std::map<duration, int> changes;
  for (const recorded_call& c : calls) {
    if (!c.queued) continue;
    ++changes[c.asked];
    --changes[c.answered];
  }
  std::vector<std::pair<duration, int>> out;
  int waiting = 0;
  for (const auto& [at, change] : changes) out.emplace_back(at, waiting += change);
  return out;
}

inline bool ran_out_of_time(const recorded_call& c) {
  return c.what == recorded_call::outcome::refused && c.why == tidepool::errc::timeout;
}

inline double ms(duration d) { return std::chrono::duration<double, std::milli>(d).count(); }
inline double seconds(duration d) { return std::chrono::duration<double>(d).count(); }

// --- printed ----------------------------------------------------------------------------------------------------------

/// One line of `columns` characters: what each was doing for most of that time.
inline std::string bar(const connection& c, duration begin, duration length, int columns) {
  constexpr char marks[] = {'.', 'c', '#', 'v', 'r', 'x'};
  std::string out(static_cast<std::size_t>(columns), ' ');
  const auto edge = [&](int i) { return begin + length / columns * i; };
  for (int i = 0; i < columns; ++i) {
    duration most{};
    for (const span& s : c.spans) {
      const duration part = std::min(s.to, edge(i + 1)) - std::max(s.from, edge(i));
      if (part <= most) continue;
      most = part;
      out[static_cast<std::size_t>(i)] = marks[static_cast<int>(s.what)];
    }
  }
  return out;
}
inline std::string queue_bar(const std::vector<std::pair<duration, int>>& queue, duration begin, duration length, int columns) {
  std::string out(static_cast<std::size_t>(columns), ' ');
  for (int i = 0; i < columns; ++i) {
    int most = 0;
    for (std::size_t k = 0; k < queue.size(); ++k) {
      const duration until = k + 1 < queue.size() ? queue[k + 1].first : begin + length;
      if (queue[k].first < begin + length / columns * (i + 1) && until > begin + length / columns * i)
        most = std::max(most, queue[k].second);
    }
    if (most > 0) out[static_cast<std::size_t>(i)] = most > 9 ? '*' : static_cast<char>('0' + most);
  }
  return out;
}

inline void print(const recording& from, int columns = 80) {
  const auto calls = from.calls();
  const duration begin = from.begins_at();
  const duration length = std::max<duration>(from.length(), std::chrono::nanoseconds(1));
  std::printf("%s: %zu events of %.3f s, made because of a %s; %llu earlier ones lost\n%s\n\n", from.pool.c_str(), from.events.size(),
              seconds(from.length()), to_string(from.reason), static_cast<unsigned long long>(from.lost), from.figures().text().c_str());

  std::printf("connections   . idle  # leased  c connecting  v validating  r resetting  x closing\n");
  for (const auto& [id, c] : connections_of(from)) {
    std::printf("%5llu |%s| %zu leases, %.0f %% leased%s%s\n", static_cast<unsigned long long>(id), bar(c, begin, length, columns).c_str(),
                c.leases, 100 * seconds(c.leased) / seconds(length), c.end.empty() ? "" : "; gone: ", c.end.c_str());
  }
  std::printf("queue |%s|\n\n", queue_bar(queue_of(calls), begin, length, columns).c_str());

  struct figures {
    std::size_t calls = 0;
    std::size_t timeouts = 0;
    duration longest_wait{};
    duration held{};
    duration longest_hold{};
  };
  std::map<std::string, figures> by_place;
  for (const recorded_call& c : calls) {
    figures& f = by_place[from.place(c.place)];
    ++f.calls;
    f.timeouts += ran_out_of_time(c);
    f.longest_wait = std::max(f.longest_wait, c.waited());
    if (c.what != recorded_call::outcome::served) continue;
    f.held += c.held();
    f.longest_hold = std::max(f.longest_hold, c.held());
  }
  std::printf("%-40s %8s %8s %12s %12s %12s\n", "callers by place", "calls", "timeouts", "longest wait", "longest hold", "held in all");
  for (const auto& [place, f] : by_place) {
    std::printf("%-40s %8zu %8zu %9.1f ms %9.1f ms %10.2f s\n", place.c_str(), f.calls, f.timeouts, ms(f.longest_wait), ms(f.longest_hold),
                seconds(f.held));
  }

  auto longest = calls;
  std::stable_sort(longest.begin(), longest.end(), [](const auto& a, const auto& b) { return a.waited() > b.waited(); });
  longest.resize(std::min<std::size_t>(longest.size(), 8));
  std::printf("\nthe callers that waited longest\n");
  for (const recorded_call& c : longest) {
    const std::string outcome = c.what == recorded_call::outcome::served    ? "connection " + std::to_string(c.connection)
                                : c.what == recorded_call::outcome::refused ? tidepool::make_error_code(c.why).message()
                                : c.what == recorded_call::outcome::missed  ? "none was idle"
                                                                            : "still waiting";
    std::printf("  at %8.3f s, %s: %.1f ms, then: %s", seconds(c.asked - begin), from.place(c.place).c_str(), ms(c.waited()),
                outcome.c_str());
    if (c.what == recorded_call::outcome::served) std::printf(", held for %.1f ms", ms(c.held()));
    std::printf("\n");
  }

  std::printf("\nwhat else happened\n");
  std::size_t told = 0;
  for (const recorded_event& e : from.events) {
    const double at = seconds(e.at - begin);
    std::string what;
    switch (e.kind) {
      case recorded_kind::verb: what = std::string(to_string(static_cast<tidepool::recorded_verb>(e.code))) + "()"; break;
      case recorded_kind::state_changed: what = std::string("the pool is ") + to_string(static_cast<tidepool::pool_state>(e.code)); break;
      case recorded_kind::breaker_changed:
        what = std::string("the breaker is ") + to_string(static_cast<tidepool::breaker_state>(e.code));
        break;
      case recorded_kind::connect_failed: what = "connect " + std::to_string(e.subject) + " failed"; break;
      case recorded_kind::leak: what = "a leak of connection " + std::to_string(e.subject); break;
      case recorded_kind::scaled: what = "scaled from " + std::to_string(e.subject) + " to " + std::to_string(e.value); break;
      case recorded_kind::destroyed:
        what = "connection " + std::to_string(e.subject) + " is gone: " + to_string(static_cast<tidepool::close_reason>(e.code));
        break;
      default: continue;
    }
    if (++told <= 20) std::printf("  at %8.3f s, %s\n", at, what.c_str());
  }
  if (told > 20) std::printf("  ... and %zu more\n", told - 20);
}

}  // namespace story

#endif
