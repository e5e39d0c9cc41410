// SPDX-License-Identifier: BSL-1.0
// tidepool - a thread that has nothing to do looks for what comes next for a moment before it sleeps.
//
// To wake a thread up costs a system call here and one there, and several microseconds, some dozens where its processor sleeps as well: far
// more than what most pieces of work take. Where the next one nearly always comes soon, nobody sleeps and nobody is woken up.
#ifndef TIDEPOOL_SQLITE_DETAIL_LOOKING_HPP
#define TIDEPOOL_SQLITE_DETAIL_LOOKING_HPP

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <chrono>
#include <thread>

#include "../../detail/driver/look_choice.hpp"
#include "../../detail/util/yield.hpp"
#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

using tidepool::detail::look_choice;
using tidepool::detail::look_clock;
using tidepool::detail::look_now;

/// Of those that this thread may use.
inline bool has_two_processors() noexcept {
#if defined(__linux__)
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (::sched_getaffinity(0, sizeof mine, &mine) == 0) return CPU_COUNT(&mine) > 1;
#endif
  return std::thread::hardware_concurrency() > 1;
}
/// How long it is looked for at most; zero where a look keeps the only processor from what is looked for.
inline look_clock::duration useful_look_time(duration wanted) noexcept {
  if (wanted <= duration::zero() || !has_two_processors()) return {};
  return std::chrono::duration_cast<look_clock::duration>(std::min<duration>(wanted, std::chrono::milliseconds(10)));
}

inline void pause_a_moment() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// Asks `came()` again and again, for `span`. Other threads that want this processor get it.
template <class Came>
void look_for(look_clock::duration span, const Came& came) noexcept {
  const auto end = look_now() + span;
  for (unsigned i = 1; !came(); ++i) {
    pause_a_moment();
    if (i % 32 != 0) continue;
    if (look_now() >= end) return;
    if (i % 256 == 0) tidepool::detail::yield_thread();
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
