// SPDX-License-Identifier: BSL-1.0
// tidepool - counts this thread's calls of epoll_wait() and epoll_ctl(), and lets the registering of a descriptor fail. It defines both
// functions for the whole program: to be included by one file of it. Not with ThreadSanitizer, which has to see the calls itself.
#ifndef TIDEPOOL_TESTS_SUPPORT_EPOLL_CALLS_HPP
#define TIDEPOOL_TESTS_SUPPORT_EPOLL_CALLS_HPP

#if defined(__SANITIZE_THREAD__)
#define TIDEPOOL_TESTS_COUNT_EPOLL 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TIDEPOOL_TESTS_COUNT_EPOLL 0
#endif
#endif
#ifndef TIDEPOOL_TESTS_COUNT_EPOLL
#define TIDEPOOL_TESTS_COUNT_EPOLL 1
#endif

#if TIDEPOOL_TESTS_COUNT_EPOLL

#include <dlfcn.h>
#include <sys/epoll.h>

#include <cerrno>

namespace tidepool_tests {

struct epoll_calls {
  int waits = 0;
  int controls = 0;
  bool refuse_add = false;
};
inline thread_local epoll_calls epoll_here;

}  // namespace tidepool_tests

extern "C" {
int epoll_wait(int set, epoll_event* events, int size, int timeout) {
  using function = int (*)(int, epoll_event*, int, int);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "epoll_wait"));
  ++tidepool_tests::epoll_here.waits;
  return real(set, events, size, timeout);
}
int epoll_ctl(int set, int operation, int descriptor, epoll_event* event) noexcept {
  using function = int (*)(int, int, int, epoll_event*);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "epoll_ctl"));
  ++tidepool_tests::epoll_here.controls;
  if (operation == EPOLL_CTL_ADD && tidepool_tests::epoll_here.refuse_add) {
    errno = ENOSPC;
    return -1;
  }
  return real(set, operation, descriptor, event);
}
}

#endif

#endif
