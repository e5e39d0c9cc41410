// SPDX-License-Identifier: BSL-1.0
// tidepool - many instances on one server's places: each with a budget of its own, as a table and as a simulation of 60, in a long run of
// 500.
//
// The simulation steps by 10 ms. An instance opens connections for what its callers want, up to its bound, each 10 ms at most two; the
// server refuses what is beyond its places. It probes once a second, each at a moment of its own. Without the budget the bound is the
// pool's `max_size`. The table that is printed stands in benchmarks/README.md.
#include <tidepool/detail/util/random.hpp>
#include <tidepool/postgres/detail/cluster/budget_core.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

namespace budgets = tidepool::postgres::detail::fleet;

/// The first is the one that looks, and alone would take more.
budgets::budget_view view_of(std::size_t usable, std::vector<std::size_t> all, std::size_t lacking = 0) {
  budgets::budget_view view;
  view.hungry = 1;
  view.mine_told = true;
  view.usable = usable;
  view.mine = all.at(0);
  view.instances = std::move(all);
  view.lacking = lacking;
  return view;
}

struct instance {
  explicit instance(std::size_t most) : budget(most, 0.95) {}
  budgets::budget_core budget;
  std::size_t phase = 0;  ///< of its probes
  bool up = true;
  bool counted = false;   ///< its probe has been answered
  bool told = false;      ///< that it would take more
  std::size_t lacks = 0;  ///< as it has told
  std::size_t wants = 0;  ///< what its callers use
  std::size_t has = 0;    ///< connections
  std::size_t refused = 0;
  std::size_t without = 0;  ///< steps in which it wanted something and had nothing
};

/// What became of a time.
struct told {
  std::size_t refused = 0;  ///< connects, by the server
  std::size_t most = 0;     ///< sessions at once
  double settled = -1;      ///< seconds until each had what its share and its callers allow
  double fairness = 0;      ///< Jain's, of what those have who want their share or more
  double used = 0;          ///< of the server's places, by those who want something, at the end
  double nothing = 0;       ///< seconds that instances waited without any connection, all together
};

class budget_world {
 public:
  budget_world(std::size_t count, std::size_t places, bool with) : places_(places), with_(with), random_(7) {
    for (std::size_t i = 0; i < count; ++i) {
      all_.emplace_back(most_each);
      all_.back().phase = static_cast<std::size_t>(random_() % 100);
    }
  }
  std::vector<instance>& all() { return all_; }
  void restart_server() {
    for (auto& each : all_) each.has = 0;
    sessions_ = 0;
  }
  told run(std::size_t seconds, const std::function<void(std::size_t)>& each_second = {}) {
    told out;
    for (std::size_t step = 0; step < seconds * 100; ++step, ++step_) {
      if (each_second && step % 100 == 0) each_second(step / 100);
      for (std::size_t n = 0, i = static_cast<std::size_t>(random_() % all_.size()); n < all_.size(); ++n, i = (i + 1) % all_.size()) {
        move(all_[i], out);
      }
      out.most = std::max(out.most, sessions_);
      if (out.settled < 0 && settled()) out.settled = static_cast<double>(step) / 100;
      if (out.settled >= 0 && !settled()) out.settled = -1;
    }
    double sum = 0, squares = 0, n = 0;
    for (const auto& each : all_) {
      out.nothing += static_cast<double>(each.without) / 100;
      if (!each.up || each.wants == 0) continue;
      const auto x = static_cast<double>(each.has) / static_cast<double>(std::min(each.wants, fair()));
      const auto capped = std::min(x, 1.0);
      sum += capped;
      squares += capped * capped;
      ++n;
      out.used += static_cast<double>(std::min(each.has, each.wants)) / static_cast<double>(places_);
    }
    out.fairness = squares > 0 ? sum * sum / (n * squares) : 0;
    return out;
  }

  static constexpr std::size_t most_each = 20;

 private:
  void set(instance& x, std::size_t has) {
    sessions_ = sessions_ - x.has + has;
    x.has = has;
  }
  std::size_t live() const {
    return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](const instance& each) { return each.up; }));
  }
  std::size_t fair() const { return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(places_) * 0.95) / live()); }
  bool settled() const {
    return std::all_of(all_.begin(), all_.end(),
                       [&](const instance& each) { return !each.up || each.has >= std::min(each.wants, fair()); });
  }
  void move(instance& x, told& out) {
    if (!x.up) {
      set(x, 0);
      x.counted = x.told = false;
      x.lacks = 0;
      return;
    }
    if (with_ && (step_ % 100 == x.phase || !x.counted)) probe(x);
    const auto cap = with_ ? x.budget.cap() : most_each;
    if (x.has > cap) set(x, cap);  // leases are short
    const auto target = std::min(x.wants, cap);
    for (int i = 0; i < 2 && x.has < target; ++i) {
      if (sessions_ < places_) {
        set(x, x.has + 1);
        continue;
      }
      ++out.refused;
      ++x.refused;
      if (with_) x.budget.full(x.has);
      break;
    }
    if (x.has > x.wants && step_ % 1000 == x.phase) set(x, x.has - 1);  // idle ones are closed by and by
    if (x.wants > 0 && x.has == 0) ++x.without;
  }
  void probe(instance& x) {
    x.counted = true;
    budgets::budget_view view;
    view.usable = places_;
    view.mine = x.has;
    for (const auto& each : all_) {
      if (!each.up) continue;
      view.instances.push_back(each.has);
      if (&each == &x) {
        view.mine_told = x.told;
        view.rank = view.hungry;
      } else {
        view.lacking += each.lacks;
      }
      if (each.told) ++view.hungry;
    }
    x.budget.seen(view);
    x.lacks = x.budget.lack(x.wants, x.has);
    x.told = x.budget.hungry(x.wants);
  }

  std::size_t places_;
  bool with_;
  tidepool::detail::splitmix random_;
  std::vector<instance> all_;
  std::size_t step_ = 0;
  std::size_t sessions_ = 0;
};

void print(const char* what, bool with, const told& t) {
  std::printf("| %s | %s | %zu | %zu | %s | %.2f | %.0f %% | %.1f s |\n", what, with ? "with" : "without", t.refused, t.most,
              t.settled < 0 ? "never"
                            : (std::to_string(static_cast<int>(t.settled * 10) / 10) + "." +
                               std::to_string(static_cast<int>(t.settled * 10) % 10) + " s")
                                  .c_str(),
              t.fairness, t.used * 100, t.nothing);
}

}  // namespace

TEST_CASE("given instances of one server, then each has an equal share, and borrows what nobody lacks") {
  budgets::budget_core one(40, 0.95);
  CHECK(one.cap() == 40);
  one.seen(view_of(100, {0, 0, 0, 0, 0}));
  CHECK(one.share() == 19);
  CHECK(one.cap() >= 19);
  // The others use nothing: more with each probe, a part of what is free each.
  std::size_t mine = 0;
  for (int i = 0; i < 20; ++i) {
    mine = one.cap();
    one.seen(view_of(100, {mine, 0, 0, 0, 0}));
    CHECK(one.cap() >= mine);
  }
  CHECK(one.cap() == 40);
}

TEST_CASE("given what is free, then an instance borrows of it only after it has told that it would") {
  budgets::budget_core one(80, 1.0);
  auto view = view_of(100, {10, 10, 10, 10});
  view.mine_told = false;
  one.seen(view);
  CHECK(one.cap() == 25);
  view.mine_told = true;
  one.seen(view);
  CHECK(one.cap() == 70);
}

TEST_CASE("given what was borrowed, when somebody lacks his share, then it is given back with the next probe") {
  budgets::budget_core one(80, 0.95);
  one.seen(view_of(100, {60, 30}, 17));
  CHECK(one.share() == 47);
  // 95 - 90 are free, 17 are lacking: 12 more come from the one that has borrowed.
  CHECK(one.cap() == 48);
  one.seen(view_of(100, {60, 35}, 60));
  CHECK(one.cap() == 47);
  budgets::budget_core other(80, 0.95);
  other.seen(view_of(100, {30, 60}, 0));
  CHECK(other.cap() >= 47);
}

TEST_CASE("given a server that refuses, then the bound is what there is at once, and rises one by one") {
  budgets::budget_core one(40, 0.95);
  one.seen(view_of(100, {5, 5}));
  CHECK(one.cap() == 40);
  one.full(5);
  CHECK(one.cap() == 5);
  one.seen(view_of(100, {5, 5}));
  CHECK(one.cap() == 5);
  one.seen(view_of(100, {5, 5}));
  CHECK(one.cap() == 6);
  one.seen(view_of(100, {6, 5}));
  CHECK(one.cap() == 7);
  one.full(7);
  CHECK(one.cap() == 7);
  one.full(0);
  CHECK(one.cap() == 1);
}

TEST_CASE("given shares, then they never sum above what is usable") {
  tidepool::detail::splitmix random(3);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t count = 1 + static_cast<std::size_t>(random() % 60);
    const std::size_t usable = static_cast<std::size_t>(random() % 400);
    std::vector<budgets::budget_core> all(count, budgets::budget_core(50, 0.95));
    std::vector<std::size_t> has(count);
    // All see the same and take all they may, again and again.
    for (int second = 0; second < 5; ++second) {
      std::size_t sum = 0, caps = 0;
      for (std::size_t i = 0; i < count; ++i) {
        auto view = view_of(usable, has);
        view.mine = has[i];
        view.hungry = count;
        view.rank = i;
        all[i].seen(view);
        sum += all[i].share();
      }
      CHECK(sum <= usable);
      for (std::size_t i = 0; i < count; ++i) {
        has[i] = all[i].cap();
        caps += has[i];
      }
      if (usable * 95 / 100 >= count) CHECK(caps <= usable);
    }
  }
}

TEST_CASE("given hundreds of instances on one server, then nobody is left out, with the budget") {
  const std::size_t count = std::getenv("TIDEPOOL_LONG") != nullptr ? 500 : 60;
  for (const bool with : {false, true}) {
    budget_world together(count, 2 * count, with);
    for (auto& each : together.all()) each.wants = 5;
    const auto start = together.run(10);
    print("all start together, each wants 5", with, start);

    budget_world rolling(count, 2 * count, with);
    for (auto& each : rolling.all()) each.wants = 3;
    (void)rolling.run(5);
    const auto rolled = rolling.run(45, [&](std::size_t second) {
      for (std::size_t i = 0; i < rolling.all().size(); ++i) rolling.all()[i].up = i * 20 / count != second / 2;
      for (std::size_t i = 0; i < rolling.all().size(); ++i) {
        auto& x = rolling.all()[i];
        if (!x.up) x.budget = budgets::budget_core(budget_world::most_each, 0.95);
      }
    });
    print("rolling restart, a twentieth at a time, each wants 3", with, rolled);

    budget_world busy(count, 2 * count, with);
    for (auto& each : busy.all()) each.wants = 1;
    (void)busy.run(5);
    for (std::size_t i : {std::size_t{1}, count / 2, count - 1}) busy.all()[i].wants = 20;
    const auto three = busy.run(10);
    const auto of_three = (busy.all()[1].has + busy.all()[count / 2].has + busy.all()[count - 1].has) / 3;
    print("three are busy and want 20, all others 1", with, three);

    budget_world failover(count, 2 * count, with);
    for (auto& each : failover.all()) each.wants = 4;
    (void)failover.run(10);
    failover.restart_server();
    const auto after = failover.run(10);
    print("failover: the new primary has none of them, each wants 4", with, after);

    if (!with) {
      CHECK(start.refused > 1000);
      CHECK(rolled.settled < 0);
      continue;
    }
    for (const auto& t : {start, rolled, three, after}) {
      CHECK(t.settled >= 0);
      CHECK(t.fairness >= 0.95);
    }
    CHECK(of_three >= 17);  // of a small server all that is there
    CHECK(start.settled < 5);
    CHECK(after.settled < 5);
  }
}
