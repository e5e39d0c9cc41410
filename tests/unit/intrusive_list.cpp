// SPDX-License-Identifier: BSL-1.0
// tidepool - the intrusive list.
#include <tidepool/detail/util/intrusive_list.hpp>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace {

using tidepool::detail::intrusive_list;
using tidepool::detail::list_hook;

struct item : list_hook {
  explicit item(int n) : number(n) {}
  int number;
};

std::vector<int> forwards(const intrusive_list<item>& list) {
  std::vector<int> out;
  for (item* i = list.front(); i; i = list.after(*i)) out.push_back(i->number);
  return out;
}
std::vector<int> backwards(const intrusive_list<item>& list) {
  std::vector<int> out;
  for (item* i = list.back(); i; i = list.before(*i)) out.push_back(i->number);
  return out;
}

TEST_CASE("given an empty list, when it is asked for anything, then there is nothing") {
  intrusive_list<item> list;
  CHECK(list.empty());
  CHECK(list.size() == 0);
  CHECK(list.front() == nullptr);
  CHECK(list.back() == nullptr);
  CHECK(list.pop_front() == nullptr);
}

TEST_CASE("given three nodes, when they are pushed at either end, then both directions show their order") {
  intrusive_list<item> list;
  item a(1), b(2), c(3), d(4);
  CHECK_FALSE(a.linked());
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  CHECK(a.linked());
  CHECK(forwards(list) == std::vector<int>{1, 2, 3});
  CHECK(backwards(list) == std::vector<int>{3, 2, 1});
  list.insert_after(b, d);
  CHECK(forwards(list) == std::vector<int>{1, 2, 4, 3});
  CHECK(list.size() == 4);
  CHECK(list.before(a) == nullptr);
  CHECK(list.after(c) == nullptr);
}

TEST_CASE("given nodes in a list, when any of them is erased, then it is free for another list") {
  intrusive_list<item> list, other;
  item a(1), b(2), c(3);
  for (item* i : {&a, &b, &c}) list.push_back(*i);
  item* const nodes[] = {&a, &b, &c};
  item* const victim = nodes[GENERATE(0, 1, 2)];
  list.erase(*victim);
  CHECK_FALSE(victim->linked());
  CHECK(list.size() == 2);
  other.push_back(*victim);
  CHECK(victim->linked());
  CHECK(forwards(other) == std::vector<int>{victim->number});
  std::vector<int> rest{1, 2, 3};
  rest.erase(std::find(rest.begin(), rest.end(), victim->number));
  CHECK(forwards(list) == rest);
  std::reverse(rest.begin(), rest.end());
  CHECK(backwards(list) == rest);
}

TEST_CASE("given a list, when it is popped until it is empty, then nodes come out first in, first out") {
  intrusive_list<item> list;
  std::deque<item> items;
  for (int n = 0; n < 10; ++n) list.push_back(items.emplace_back(n));
  for (int n = 0; n < 10; ++n) {
    item* i = list.pop_front();
    REQUIRE(i != nullptr);
    CHECK(i->number == n);
    CHECK_FALSE(i->linked());
  }
  CHECK(list.empty());
}

TEST_CASE("given random operations, when they are also done to a std::deque, then both hold the same") {
  std::mt19937 random(7);
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  std::deque<item> items;
  for (int n = 0; n < 40; ++n) items.emplace_back(n);
  intrusive_list<item> list;
  std::deque<int> model;
  for (int step = 0; step < 20'000; ++step) {
    item& it = items[below(items.size())];
    const auto place = std::find(model.begin(), model.end(), it.number);
    REQUIRE(it.linked() == (place != model.end()));
    if (it.linked()) {
      list.erase(it);
      model.erase(place);
    } else if (const auto how = below(3); how == 0 || model.empty()) {
      list.push_back(it);
      model.push_back(it.number);
    } else if (how == 1) {
      list.push_front(it);
      model.push_front(it.number);
    } else {
      const std::size_t at = below(model.size());
      list.insert_after(items[static_cast<std::size_t>(model[at])], it);
      model.insert(model.begin() + static_cast<std::ptrdiff_t>(at) + 1, it.number);
    }
    REQUIRE(list.size() == model.size());
    REQUIRE(forwards(list) == std::vector<int>(model.begin(), model.end()));
    REQUIRE(backwards(list) == std::vector<int>(model.rbegin(), model.rend()));
  }
}

}  // namespace
