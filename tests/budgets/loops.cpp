// SPDX-License-Identifier: BSL-1.0
// tidepool - for instructions.sh, which counts what these loops execute.
//
//   loops toolchain      what this was built with; budgets are recorded for one
//   loops cases          the names of the loops
//   loops sizes          "name bytes", line by line
//   loops CASE COUNT
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <type_traits>

#include "cases.hpp"

namespace tidepool_budgets {
namespace {

// A policy that is off has neither state nor functions, so that nothing of it can be called.
static_assert(std::is_empty_v<tidepool::no_health_check> && std::is_empty_v<tidepool::no_leak_detection> &&
              std::is_empty_v<tidepool::no_scaling> && std::is_empty_v<tidepool::no_lifetime> && std::is_empty_v<tidepool::no_breaker> &&
              std::is_empty_v<tidepool::null_observer> && std::is_empty_v<tidepool::null_mutex> && std::is_empty_v<tidepool::no_recorder>);

#if TIDEPOOL_HEADER_ONLY
template <class Traits>
constexpr std::size_t pool_size = sizeof(tidepool::detail::pool_impl<nothing, Traits>);
constexpr std::size_t weight = sizeof(dead_weight<0>);
static_assert(pool_size<heavy_leaks> == pool_size<bare> + weight);
static_assert(pool_size<heavy_scaling> == pool_size<bare> + weight);
static_assert(pool_size<heavy_lifetime> == pool_size<bare> + weight);
static_assert(pool_size<heavy_breaker> == pool_size<bare> + weight);
static_assert(pool_size<heavy_health> == pool_size<bare> + 2 * weight);  // one under the lock, one outside

using entry = tidepool::detail::pool_entry<nothing, defaults>;
using waiter = tidepool::detail::coroutine_wait<tidepool::detail::pool_impl<nothing, defaults>>;
static_assert(sizeof(entry) - sizeof(nothing) <= 512, "a slot besides its connection");
static_assert(sizeof(waiter) <= 256, "a waiting acquire besides its frame");
#endif

constexpr const char* mode = TIDEPOOL_HEADER_ONLY ? "" : "-separate";

struct loop {
  const char* name;
  void (*body)(std::uint64_t);
};
constexpr loop loops[] = {
    {"acquire", acquire<defaults>},
    {"acquire.concrete_executor", acquire<concrete>},
    {"acquire.one_thread", acquire<one_thread>},
    {"acquire.without_health", acquire<without_health>},
    {"acquire.without_leaks", acquire<without_leaks>},
    {"acquire.without_scaling", acquire<without_scaling>},
    {"acquire.without_lifetime", acquire<without_lifetime>},
    {"acquire.without_breaker", acquire<without_breaker>},
    {"acquire.bare", acquire<bare>},
    {"acquire.bare_with_dead_weight", acquire<heavy_health>},
    {"try_acquire", try_acquire<defaults>},
    {"try_acquire.one_thread", try_acquire<one_thread>},
    {"try_acquire.bare", try_acquire<bare>},
    {"handoff", handoff<defaults>},
    {"handoff.concrete_executor", handoff<concrete>},
    {"handoff.bare", handoff<bare>},
    // A pair is two events more than with the concrete executor, a hand-off three.
    {"acquire.recorded", acquire<recorded>},
    {"try_acquire.recorded", try_acquire<recorded>},
    {"handoff.recorded", handoff<recorded>},
};

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "toolchain") {
#if defined(__clang__)
    std::printf("clang-%d-asio-%d%s\n", __clang_major__, ASIO_VERSION, mode);
#else
    std::printf("gcc-%d-asio-%d%s\n", __GNUC__, ASIO_VERSION, mode);
#endif
    return 0;
  }
  if (what == "cases") {
    for (const auto& one : loops) std::puts(one.name);
    return 0;
  }
  if (what == "sizes") {
#if TIDEPOOL_HEADER_ONLY  // those of separate compilation are the same
    std::printf("pool.bare %zu\npool %zu\nslot %zu\nwaiter %zu\n", pool_size<bare>, pool_size<defaults>, sizeof(entry) - sizeof(nothing),
                sizeof(waiter));
#endif
    return 0;
  }
  for (const auto& one : loops) {
    if (what != one.name || argc < 3) continue;
    one.body(static_cast<std::uint64_t>(std::atoll(argv[2])));
    return 0;
  }
  std::fprintf(stderr, "usage: %s toolchain|cases|sizes|CASE COUNT\n", argv[0]);
  return 2;
}

}  // namespace
}  // namespace tidepool_budgets

int main(int argc, char** argv) { return tidepool_budgets::main(argc, argv); }
