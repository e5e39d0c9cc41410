// SPDX-License-Identifier: BSL-1.0
// tidepool - taking an idle connection and giving it back allocates nothing, enters the kernel never, and reads a clock once each way.
//
//   counts [acquire|try_acquire]     exit status 0: so it is; 77: not to be found out here
//
// Allocations are counted at malloc, because Asio calls it without going by `operator new`. System calls: the kernel is told (seccomp) to
// stop this process at the first, which is then named; that needs no privilege and no tracer. clock_gettime is let through, for machines
// whose clock cannot be read without the kernel, and counted by itself.
#include <dlfcn.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>

#include "cases.hpp"

namespace {
std::uint64_t allocations = 0;
std::uint64_t precise_reads = 0;
std::uint64_t coarse_reads = 0;
}  // namespace

// glibc's own names for what these replace.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept {
  ++allocations;
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}
int clock_gettime(clockid_t clock, timespec* out) noexcept {
  using function = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "clock_gettime"));
  ++(clock == CLOCK_MONOTONIC_COARSE ? coarse_reads : precise_reads);
  return real(clock, out);
}
}

namespace tidepool_budgets {
namespace {

constexpr std::uint64_t rounds = 100'000;

void caught(int, siginfo_t* info, void*) {
  char text[80];
  const int length = std::snprintf(text, sizeof text, "  system call number %d was made\n", info->si_syscall);
  const auto written = ::write(STDERR_FILENO, text, static_cast<std::size_t>(length));
  (void)written;
  ::_exit(1);
}
/// From here on this process may only end. False: the kernel does not offer that.
bool no_system_calls_any_more() {
  struct sigaction action {};
  action.sa_sigaction = caught;
  action.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return false;
  const auto is = [](long number) -> sock_filter { return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1); };
  constexpr sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  std::array<sock_filter, 10> code{sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))),
                                   is(SYS_exit_group),
                                   allow,
                                   is(SYS_write),
                                   allow,
                                   is(SYS_clock_gettime),
                                   allow,
                                   is(SYS_rt_sigreturn),
                                   allow,
                                   sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP))};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// In a process of its own, since the way back is closed.
int child(bool awaiting) {
  opened_pool<defaults> made(8);
  const auto body = [&]() -> asio::awaitable<void> {
    for (int warm = 0; warm < 2; ++warm) {  // Asio's cache of frames, the pool's timer
      if (awaiting) {
        co_await pairs(made.pool, 1000);
      } else {
        tries(made.pool, 1000);
      }
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    if (!no_system_calls_any_more()) ::_exit(77);
    allocations = precise_reads = coarse_reads = 0;
    if (awaiting) {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        auto lease = co_await made.pool.acquire();
        ++lease->uses;
      }
    } else {
      tries(made.pool, rounds);
    }
    const auto per = [](std::uint64_t n) { return static_cast<double>(n) / static_cast<double>(rounds); };
    char text[200];
    const int length =
        std::snprintf(text, sizeof text, "  %.5f allocations, no system call, %.3f coarse and %.3f precise reads of a clock\n",
                      per(allocations), per(coarse_reads), per(precise_reads));
    const auto written = ::write(STDOUT_FILENO, text, static_cast<std::size_t>(length));
    (void)written;
    // One lease in 16 is timed, by two precise reads.
    const bool good = allocations == 0 && per(coarse_reads) <= 2 && per(precise_reads) <= 2.01 / 16;
    ::_exit(good ? 0 : 1);
  };
  asio::co_spawn(made.io, body(), asio::detached);
  made.io.restart();
  made.io.run();
  return 1;
}
int counted(const char* name, bool awaiting) {
  std::printf("%s and release, %llu times, each:\n", name, static_cast<unsigned long long>(rounds));
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child(awaiting));
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return 1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) std::puts("  skipped: no seccomp here");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
/// Checks that the trap works.
int baited() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::freopen("/dev/null", "w", stderr) == nullptr || !no_system_calls_any_more()) ::_exit(77);
    ::syscall(SYS_getppid);
    ::_exit(0);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return 1;
  if (WEXITSTATUS(status) == 77) return 77;
  if (WEXITSTATUS(status) == 1) return 0;
  std::puts("a system call went unnoticed");
  return 1;
}

}  // namespace
}  // namespace tidepool_budgets

int main(int argc, char** argv) {
  using namespace tidepool_budgets;
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (const int bait = baited(); bait != 0) return bait;
  return what == "try_acquire" ? counted("try_acquire()", false) : counted("co_await acquire()", true);
}
