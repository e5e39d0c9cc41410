// SPDX-License-Identifier: BSL-1.0
// tidepool - the core against a small sequential model over random sequences of events.
#include <tidepool/detail/util/random.hpp>

#include <optional>
#include <set>

#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;

struct plain_traits : core_traits {
  using breaker_policy = tidepool::no_breaker;
};
using model_rig = core_rig<plain_traits, false>;
using id = tidepool::connection_id;

/// A simple model of what the pool has to do: a queue of callers and sets of ids. It does not predict when connects start, because that
/// depends on jitter; it tells whether one may start, and when one must.
struct model {
  struct waiter {
    std::size_t number;
    tick deadline;
    std::size_t failures_seen;
  };
  struct outcome {
    errc error{};
    id connection = 0;
    bool operator==(const outcome&) const = default;
  };

  explicit model(const pool_config& c)
      : min(c.min_size),
        max(c.max_size),
        max_waiting(c.max_waiting),
        max_connecting(c.max_connecting),
        max_retries(c.max_retries),
        waits_when_refused(c.wait_when_refused) {}

  std::size_t min, max, max_waiting, max_connecting, max_retries;
  bool waits_when_refused;
  bool started = false, suspended = false, closing_down = false;
  tick close_deadline = never;
  std::size_t failures = 0, futile = 0, streak = 0;  // ever, of them in a row, and of any kind in a row
  std::uint64_t generation = 0;
  std::deque<waiter> waiters;
  std::vector<id> idle;  // the newest at the back
  std::set<id> leased, connecting, resetting, closing;
  std::map<id, std::uint64_t> made_in;
  std::map<std::size_t, outcome> told;

  std::size_t live() const { return idle.size() + leased.size() + resetting.size(); }
  std::size_t open() const { return live() + connecting.size(); }
  std::size_t room() const {
    const std::size_t taken = leased.size() + closing.size();
    return max > taken ? max - taken : 0;
  }
  bool admits() const { return started && !suspended && !closing_down; }
  std::size_t need() const {
    if (!admits()) return 0;
    const auto missing = [](std::size_t wanted, std::size_t there) { return wanted > there ? wanted - there : 0; };
    const std::size_t wanted = std::max(missing(waiters.size(), connecting.size() + resetting.size()), missing(min, open()));
    return std::min(wanted, missing(max, open() + closing.size()));
  }

  void acquire(std::size_t number, tick now, duration timeout) {
    if (!closing_down) started = true;
    if (closing_down) return tell(number, errc::closed);
    if (admits() && waiters.empty() && !idle.empty()) return lend(number, take_newest());
    if (timeout <= 0s) return tell(number, errc::timeout);
    if (waiters.size() >= max_waiting + (admits() ? room() : 0)) return tell(number, errc::queue_full);
    waiters.push_back({number, now + timeout, failures});
  }
  void cancel(std::size_t number) {
    const auto at = std::find_if(waiters.begin(), waiters.end(), [&](const waiter& w) { return w.number == number; });
    if (at == waiters.end()) return;
    waiters.erase(at);
    tell(number, errc::cancelled);
  }
  void connect_began(id n) {
    connecting.insert(n);
    made_in[n] = generation;
  }
  void connected(id n) {
    connecting.erase(n);
    streak = futile = 0;
    available(n);
  }
  void connect_failed(id n, failure_kind kind) {
    connecting.erase(n);
    ++streak;
    if (kind == failure_kind::refused && waits_when_refused) {
      futile = 0;
    } else {
      ++failures;
      ++futile;
    }
  }
  void returned(id n, lease_end end) {
    const bool surplus = open() > max;
    leased.erase(n);
    if (end == lease_end::broken) return;
    if (closing_down) {
      closing.insert(n);
    } else if (end == lease_end::needs_reset && made_in[n] == generation && !surplus) {
      resetting.insert(n);
    } else {
      available(n);
    }
  }
  void reset_done(id n, bool ok) {
    resetting.erase(n);
    if (ok) available(n);
  }
  void resize(std::size_t new_min, std::size_t new_max) {
    min = new_min;
    max = new_max;
    while (open() > max && !idle.empty()) close_oldest();
  }
  void recycle() {
    ++generation;
    while (!idle.empty()) close_oldest();
  }
  void serve() {
    while (admits() && !waiters.empty() && !idle.empty()) {
      lend(waiters.front().number, take_newest());
      waiters.pop_front();
    }
  }
  void close(tick now, duration grace) {
    closing_down = true;
    close_deadline = std::min(close_deadline, now + grace);
    for (const waiter& w : waiters) tell(w.number, errc::closed);
    waiters.clear();
    while (!idle.empty()) close_oldest();
    connecting.clear();
    resetting.clear();
    pass(now);
  }
  /// Nothing alive, nothing coming, and more failures seen than a caller has to put up with.
  void fail_hopeless() {
    if (closing_down) return;
    while (live() == 0 && connecting.empty() && !waiters.empty() &&
           std::min(failures - waiters.front().failures_seen, futile) > max_retries) {
      tell(waiters.front().number, errc::connect_failed);
      waiters.pop_front();
    }
  }
  void pass(tick now) {
    for (std::size_t i = 0; i < waiters.size();) {
      if (waiters[i].deadline > now) {
        ++i;
        continue;
      }
      tell(waiters[i].number, errc::timeout);
      waiters.erase(waiters.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (closing_down && now >= close_deadline) leased.clear();
  }

 private:
  void tell(std::size_t number, errc error) { told[number] = {error, 0}; }
  void lend(std::size_t number, id n) {
    leased.insert(n);
    told[number] = {errc{}, n};
  }
  id take_newest() {
    const id n = idle.back();
    idle.pop_back();
    return n;
  }
  void close_oldest() {
    closing.insert(idle.front());
    idle.erase(idle.begin());
  }
  void available(id n) {
    if (made_in[n] != generation || open() + 1 > max) {
      closing.insert(n);
    } else if (admits() && !waiters.empty()) {
      lend(waiters.front().number, n);
      waiters.pop_front();
    } else {
      idle.push_back(n);
    }
  }
};

class model_comparison {
 public:
  explicit model_comparison(std::uint64_t seed) : random_(seed), config_(draw_config()), r(config_, seed), m(config_) {}

  void run(int steps) {
    r.discarded = true;  // what a connection that dies unserved does to the back-off is not the model's
    for (int i = 0; i < steps; ++i) {
      step();
      if (!same()) return;
    }
    r.finish();
  }
  std::string fault() const {
    std::string out = fault_;
    if (!out.empty()) {
      for (const std::string& line : history_) out += "\n  " + line;
    }
    return out;
  }
  std::size_t grants() const { return r.stats().total_checkouts; }

 private:
  std::size_t choose(std::size_t n) { return n ? static_cast<std::size_t>(random_() % n) : 0; }

  pool_config draw_config() {
    pool_config c = calm(choose(3), 1 + choose(4));
    c.min_size = std::min(c.min_size, c.max_size);
    fails_ = choose(2) == 0;
    c.max_connecting = fails_ ? 1 : 1 + choose(3);
    c.max_waiting = choose(3) == 0 ? choose(4) : 1000;
    c.max_retries = choose(3);
    c.wait_when_refused = choose(3) > 0;
    c.connect_timeout = c.reset_timeout = c.close_timeout = 10'000h;
    c.start = tidepool::start_mode::lazy;
    return c;
  }

  template <class Set>
  std::optional<id> any_of(const Set& from) {
    if (from.empty()) return std::nullopt;
    return *std::next(from.begin(), static_cast<std::ptrdiff_t>(choose(from.size())));
  }
  model_rig::entry& slot(id n) { return *r.slots.at(n); }

  void step() {
    const std::size_t what = choose(100);
    const bool fast = choose(2) == 0;
    note("event " + std::to_string(what) + (fast ? " fast" : ""));
    if (what < 30) {
      const duration timeout = std::chrono::seconds(choose(4) * choose(10));
      m.acquire(r.callers.size(), r.now, timeout);
      fast ? r.acquire_fast(timeout) : r.acquire(timeout);
    } else if (what < 50) {
      if (const auto n = any_of(m.leased)) {
        const auto end = choose(5) == 0 ? lease_end::broken : choose(4) == 0 ? lease_end::needs_reset : lease_end::clean;
        m.returned(*n, end);
        fast ? r.give_back_fast(slot(*n), end) : r.give_back(slot(*n), end);
      }
    } else if (what < 65) {
      if (const auto n = any_of(m.connecting)) {
        if (fails_ && choose(3) > 0) {
          const auto kind = choose(3) == 0 ? failure_kind::refused : failure_kind::transient;
          m.connect_failed(*n, kind);
          r.connect_fails(slot(*n), kind);
        } else {
          m.connected(*n);
          r.connect_ok(slot(*n));
        }
      }
    } else if (what < 70) {
      if (const auto n = any_of(m.resetting)) {
        const bool ok = choose(3) > 0 || slot(*n).uses == 1;
        m.reset_done(*n, ok);
        r.reset_done(slot(*n), ok);
      }
    } else if (what < 78) {
      if (const auto n = any_of(m.closing)) {
        m.closing.erase(*n);
        r.closed(slot(*n));
      }
    } else if (what < 84) {
      if (!m.waiters.empty()) {
        const std::size_t number = m.waiters[choose(m.waiters.size())].number;
        m.cancel(number);
        r.cancel(r.callers[number]);
      }
    } else if (what < 90) {
      const tick end = r.now + std::chrono::milliseconds(choose(6000));
      while (r.now < end) {
        r.advance(std::max(duration(1), std::min(r.armed, end) - r.now));
        m.pass(r.now);
        m.fail_hopeless();
        note_connects();
      }
    } else if (what < 92) {
      if (const auto n = any_of(m.leased)) {
        m.leased.erase(*n);
        r.detach(slot(*n));
      }
    } else if (what < 94) {
      const std::size_t max = 1 + choose(5);
      const std::size_t min = choose(max + 1);
      m.resize(min, max);
      r.resize(min, max);
    } else if (what < 95) {
      m.recycle();
      r.recycle();
    } else if (what < 97) {
      m.suspended = true;
      r.suspend();
    } else if (what < 99 || choose(4) > 0) {
      m.suspended = false;
      m.serve();
      r.resume();
    } else {
      const duration grace = std::chrono::seconds(choose(3));
      m.close(r.now, grace);
      r.close(grace);
    }
    m.fail_hopeless();
    note_connects();
  }

  /// What the core began to connect of its own accord: it must have been allowed to.
  void note_connects() {
    for (const auto* s : r.in(slot_state::connecting)) {
      if (m.connecting.count(s->id)) continue;
      const std::size_t cap = m.streak > 0 ? 1 : m.max_connecting;
      if (m.need() == 0 || m.connecting.size() >= cap)
        fault_ = "a connect nobody needs, or one too many: " + std::to_string(m.need()) + ", " + std::to_string(m.connecting.size());
      m.connect_began(s->id);
    }
  }

  /// The last events and the model's state before each, for the report.
  void note(const std::string& event) {
    history_.push_back(event + ": waiting " + std::to_string(m.waiters.size()) + ", idle " + std::to_string(m.idle.size()) + ", leased " +
                       std::to_string(m.leased.size()) + ", connecting " + std::to_string(m.connecting.size()) + ", resetting " +
                       std::to_string(m.resetting.size()) + ", closing " + std::to_string(m.closing.size()) + ", max " +
                       std::to_string(m.max) + ", failures " + std::to_string(m.failures));
    if (history_.size() > 6) history_.erase(history_.begin());
  }
  bool differ(const std::string& what) {
    if (fault_.empty()) fault_ = what;
    return false;
  }
  std::set<id> ids(slot_state state) {
    std::set<id> out;
    for (const auto* s : r.in(state)) out.insert(s->id);
    return out;
  }
  bool same() {
    if (!fault_.empty()) return false;
    for (std::size_t i = 0; i < r.callers.size(); ++i) {
      if (r.callers[i].in != core_waiter::queue::acquire || checked_.count(i)) continue;
      const auto told = m.told.find(i);
      const bool done = r.callers[i].completions > 0;
      if (done != (told != m.told.end())) return differ("caller " + std::to_string(i) + (done ? " was answered" : " was not answered"));
      if (!done) continue;
      const auto* granted = static_cast<const core_waiter&>(r.callers[i]).slot;
      const model::outcome seen{r.callers[i].error, granted ? granted->id : 0};
      if (!(seen == told->second)) {
        return differ("caller " + std::to_string(i) + " got connection " + std::to_string(seen.connection) + ", error " +
                      std::to_string(static_cast<int>(seen.error)) + " instead of " + std::to_string(told->second.connection) + ", " +
                      std::to_string(static_cast<int>(told->second.error)));
      }
      checked_.insert(i);
    }
    if (ids(slot_state::leased) != m.leased) return differ("leased");
    if (ids(slot_state::idle) != std::set<id>(m.idle.begin(), m.idle.end())) return differ("idle");
    if (ids(slot_state::resetting) != m.resetting) return differ("resetting");
    if (ids(slot_state::closing) != m.closing) return differ("closing");
    if (ids(slot_state::connecting) != m.connecting) return differ("connecting");
    if (r.stats().waiting != m.waiters.size()) return differ("waiting");
    const bool due = m.streak == 0 && m.need() > 0 && m.connecting.size() < m.max_connecting;
    if (!due || r.connects != connects_) hungry_since_ = never;
    connects_ = r.connects;
    if (due) {
      // For callers alone, and with leases out that may come back, it may be put off for as long as a connect takes.
      const bool may_wait = !m.leased.empty() && m.open() >= m.min;
      hungry_since_ = std::min(hungry_since_, r.now);
      if (!may_wait || r.now - hungry_since_ > r.stats().connect_time.max()) return differ("INV-5: a connect is due");
    }
    if (m.closing_down && m.open() + m.closing.size() == 0 && r.stats().state != pool_state::closed) return differ("not closed");
    return true;
  }

  tidepool::detail::splitmix random_;
  bool fails_ = false;
  pool_config config_;
  model_rig r;
  model m;
  std::set<std::size_t> checked_;
  tick hungry_since_ = never;
  std::size_t connects_ = 0;
  std::string fault_;
  std::vector<std::string> history_;
};

TEST_CASE("given random events, when core and reference model see the same, then both do the same", "[INV-6][INV-5][B003]") {
  std::size_t grants = 0;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    model_comparison d(seed);
    d.run(300);
    grants += d.grants();
    INFO("seed " << seed);
    REQUIRE(d.fault() == "");
  }
  CHECK(grants > 10'000);  // the sequences do get somewhere
}

}  // namespace
