// SPDX-License-Identifier: BSL-1.0
// tidepool - the real pool under load, watched while faults happen.
#include "rig.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include <tidepool/postgres.hpp>

namespace tidepool_faults {
namespace {

namespace asio = tidepool::asio;
namespace pg = tidepool::postgres;

/// The events of the pool, and the times of failures.
struct event_log {
  mutable std::mutex mutex;
  std::vector<moment> failures;
  std::string text;
  bool quiet = false;

  void failure(std::string_view words) {
    const std::lock_guard lock(mutex);
    if (!quiet) failures.push_back(clock::now());
    note(words);
  }
  void note(std::string_view words) {
    if (text.size() > 200000) return;
    text += words;
    text += '\n';
  }
};

class event_log_observer {
 public:
  explicit event_log_observer(std::shared_ptr<event_log> to) : log_(std::move(to)) {}
  void on_event(std::string_view, const tidepool::destroyed_event& e) {
    using tidepool::close_reason;
    if (e.reason == close_reason::broken || e.reason == close_reason::invalid || e.reason == close_reason::reset_failed ||
        e.reason == close_reason::recycled || e.reason == close_reason::outdated) {
      log_->failure(std::string("destroyed: ") + tidepool::to_string(e.reason));
    }
  }
  void on_event(std::string_view, const tidepool::connect_failed_event& e) { log_->failure(e.error); }
  void on_event(std::string_view, const tidepool::health_failed_event& e) { log_->failure(e.error); }
  void on_event(std::string_view, const tidepool::state_event& e) {
    const std::lock_guard lock(log_->mutex);
    log_->note(e.reason);
  }

 private:
  std::shared_ptr<event_log> log_;
};

/// When connections were ended by their peers. Sees the sockets themselves, whatever the pool does with them; the kernel forgets each
/// when the pool closes it.
class hang_up_log {
 public:
  hang_up_log() : set_(::epoll_create1(EPOLL_CLOEXEC)), end_(::eventfd(0, EFD_CLOEXEC)) {
    epoll_event wanted{EPOLLIN, {}};
    wanted.data.fd = end_;
    ::epoll_ctl(set_, EPOLL_CTL_ADD, end_, &wanted);
    thread_ = std::thread([this] { run(); });
    // Ahead of those whose lateness it measures, where that is allowed.
    sched_param first{};
    first.sched_priority = 1;
    (void)::pthread_setschedparam(thread_.native_handle(), SCHED_FIFO, &first);
  }
  hang_up_log(const hang_up_log&) = delete;
  hang_up_log& operator=(const hang_up_log&) = delete;
  ~hang_up_log() {
    const std::uint64_t one = 1;
    (void)!::write(end_, &one, sizeof one);
    thread_.join();
    ::close(set_);
    ::close(end_);
  }

  void add(int socket) const {
    epoll_event wanted{EPOLLRDHUP | EPOLLONESHOT, {}};
    wanted.data.fd = -1;
    ::epoll_ctl(set_, EPOLL_CTL_ADD, socket, &wanted);
  }
  moment first(moment from) const {
    const std::lock_guard lock(mutex_);
    const auto at = std::lower_bound(seen_.begin(), seen_.end(), from);
    return at == seen_.end() ? moment::max() : *at;
  }

 private:
  void run() {
    std::array<epoll_event, 32> events{};
    for (;;) {
      const int count = ::epoll_wait(set_, events.data(), static_cast<int>(events.size()), -1);
      const auto now = clock::now();
      const std::lock_guard lock(mutex_);
      for (int i = 0; i < count; ++i) {
        if (events[static_cast<std::size_t>(i)].data.fd == end_) return;
        seen_.push_back(now);
      }
    }
  }

  int set_;
  int end_;
  mutable std::mutex mutex_;
  std::vector<moment> seen_;
  std::thread thread_;
};

asio::awaitable<void> note_socket(std::shared_ptr<hang_up_log> log, int socket) {
  log->add(socket);
  co_return;
}

struct watched_traits : tidepool::default_traits<pg::connection> {
  using observer = event_log_observer;
};
using pool = tidepool::basic_pool<pg::connection, watched_traits>;

/// How long the thread that made it has waited for a processor so far, in nanoseconds. Needs no descriptor later on.
class starvation {
 public:
  starvation() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  starvation(const starvation&) = delete;
  starvation& operator=(const starvation&) = delete;
  ~starvation() { ::close(file_); }

  std::int64_t so_far() const {
    std::array<char, 128> text{};
    if (::pread(file_, text.data(), text.size() - 1, 0) <= 0) return 0;
    // The second of three numbers.
    char* second = nullptr;
    (void)std::strtoll(text.data(), &second, 10);
    return std::strtoll(second, nullptr, 10);
  }

 private:
  int file_;
};

double ms(clock::duration span) { return std::chrono::duration<double, std::milli>(span).count(); }

tidepool::pool_config config_of(const setup& wanted) {
  tidepool::pool_config c;
  c.name = wanted.application;
  c.acquire_timeout = wanted.acquire_timeout;
  if (wanted.as_delivered) return c;
  c.min_size = wanted.min;
  c.max_size = wanted.max;
  c.max_connecting = 2;
  c.connect_timeout = wanted.connect_timeout;
  c.validation_timeout = wanted.validation_timeout;
  c.alive_bypass = wanted.alive_bypass;
  c.reset_timeout = 500ms;
  c.close_timeout = 500ms;
  c.health_check_interval = wanted.health_check_interval;
  c.retry_delay = 50ms;
  c.max_retry_delay = 2s;
  c.max_retries = 1000;  // the deadline and the breaker decide when a caller gives up
  c.breaker_threshold = wanted.breaker_threshold;
  c.wait_when_refused = wanted.wait_when_refused;
  c.auto_scale = false;
  c.start = wanted.lazy ? tidepool::start_mode::lazy : tidepool::start_mode::fail_fast;
  return c;
}

pg::connector connector_of(const setup& wanted, const tidepool::pool_config& config, const std::shared_ptr<hang_up_log>& hang_ups) {
  pg::options options(wanted.conninfo + (wanted.as_delivered ? "" : wanted.sockets) + " application_name=" + wanted.application);
  if (!wanted.as_delivered) options.cancel_timeout = 500ms;
  if (wanted.response_timeout > 0ms) {
    options.response_timeout = wanted.response_timeout;
    options.cancel_timeout = wanted.response_timeout / 2;
  }
  options.on_connect = [hang_ups](pg::connection& c) { return note_socket(hang_ups, PQsocket(c.native())); };
  if (wanted.reset_full) options.reset = pg::reset_level::full;
  if (wanted.password) {
    options.credential_provider = [ask = wanted.password]() -> asio::awaitable<pg::credentials> {
      pg::credentials now("", ask());
      co_return now;
    };
  }
  return {std::move(options), config};
}

/// Cancels what runs in a coroutine when its time is over.
struct limiter {
  explicit limiter(asio::any_io_executor executor) : timer(std::move(executor)) {}
  asio::cancellation_signal signal;
  asio::steady_timer timer;
  bool over = false;
  bool fired = false;
};

asio::awaitable<std::string> run_statement(pg::connection& c, std::string sql, bool write) {
  const auto got = co_await c.exec(sql);
  std::string out;
  if (!write && got.size() > 0) out = got[0][got[0].size() - 1].text();
  co_return out;
}

}  // namespace

bool long_mode() { return std::getenv("TIDEPOOL_LONG") != nullptr; }

struct rig::inside {
  explicit inside(setup with)
      : wanted(std::move(with)),
        config(config_of(wanted)),
        connections(std::make_unique<pool>(io, connector_of(wanted, config, hang_ups), config, event_log_observer(events))) {}

  asio::awaitable<void> caller(int number) {
    asio::steady_timer timer(io);
    // Spread over the first pause.
    timer.expires_after(wanted.think * number / std::max(wanted.callers, 1));
    co_await timer.async_wait(asio::use_awaitable);
    while (!stopping) {
      const auto done = co_await one(wanted.acquire_timeout, wanted.statement, wanted.writes);
      {
        const std::lock_guard lock(mutex);
        if (done.how == ending::ok) ++successes;
        log.push_back(done);
      }
      timer.expires_after(wanted.think);
      co_await timer.async_wait(asio::use_awaitable);
    }
    --running;
  }

  asio::awaitable<request_log> one(milliseconds timeout, std::string statement, bool write) {
    request_log out;
    out.begun = clock::now();
    pool::lease lease;
    try {
      lease = co_await connections->acquire(timeout);
    } catch (const tidepool::pool_error& failure) {
      out.how = ending::no_lease;
      out.why = failure.what();
    }
    out.granted = clock::now();
    if (lease) {
      out.backend = lease->backend_pid();
      const auto limit = std::make_shared<limiter>(io.get_executor());
      limit->timer.expires_after(wanted.query_timeout);
      limit->timer.async_wait([limit](std::error_code) {
        if (limit->over) return;
        limit->fired = true;
        limit->signal.emit(asio::cancellation_type::terminal);
      });
      try {
        auto token = asio::bind_cancellation_slot(limit->signal.slot(), asio::use_awaitable);
        auto task = run_statement(*lease, std::move(statement), write);
        const std::string answer = co_await asio::co_spawn(io, std::move(task), token);
        if (!write && wanted.statement.find("4711") != std::string::npos && answer != "4711") {
          out.how = ending::wrong;
          out.why = "answer " + answer;
        }
      } catch (const pg::error& failure) {
        out.how = failure.connection_lost() ? ending::lost : ending::refused;
        out.why = failure.what();
      } catch (const std::system_error& failure) {
        out.how = ending::late;
        out.why = failure.what();
      }
      limit->over = true;
      limit->timer.cancel();
    }
    out.ended = clock::now();
    if (out.how != ending::ok) {
      const std::lock_guard lock(mutex);
      last = out.why;
    }
    co_return out;
  }

  asio::awaitable<void> tick() {
    asio::steady_timer timer(io);
    auto before = clock::now();
    const starvation starved;
    auto starved_before = starved.so_far();
    for (;;) {
      timer.expires_after(1ms);
      co_await timer.async_wait(asio::use_awaitable);
      const auto now = clock::now();
      const auto starved_now = starved.so_far();
      const auto gap = now - before - 1ms - std::chrono::nanoseconds(starved_now - starved_before);
      if (gap > 2ms) {
        const std::lock_guard lock(mutex);
        gaps.emplace_back(now, gap);
      }
      before = now;
      starved_before = starved_now;
    }
  }

  asio::awaitable<void> open() {
    try {
      co_await connections->open();
    } catch (const std::exception& failure) {
      const std::lock_guard lock(mutex);
      last = failure.what();
    }
    opened = true;
  }

  /// Runs something on the loop and waits for its value.
  template <class F>
  auto on_loop(F what) {
    std::packaged_task<decltype(what())()> task(std::move(what));
    auto value = task.get_future();
    asio::post(io, [&task] { task(); });
    return value.get();
  }

  setup wanted;
  tidepool::pool_config config;
  asio::io_context io{1};
  std::shared_ptr<event_log> events = std::make_shared<event_log>();
  std::shared_ptr<hang_up_log> hang_ups = std::make_shared<hang_up_log>();
  std::unique_ptr<pool> connections;
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::atomic<bool> opened{false};
  std::atomic<int> running{0};
  mutable std::mutex mutex;
  std::vector<request_log> log;
  std::vector<std::pair<moment, clock::duration>> gaps;
  std::uint64_t successes = 0;
  std::string last;
  bool closed = false;
};

rig::rig(setup wanted) : in_(std::make_unique<inside>(std::move(wanted))) {
  asio::co_spawn(in_->io, in_->tick(), asio::detached);
  in_->thread = std::thread([this] { in_->io.run(); });
}
rig::~rig() {
  (void)stop();
  if (!in_->closed) (void)close(1s);
  in_->io.stop();
  in_->thread.join();
  // The pool goes before its context, which then destroys the coroutines that are left.
  in_->connections.reset();
}

bool rig::start(int count) {
  asio::co_spawn(in_->io, in_->open(), asio::detached);
  const auto until = clock::now() + hang;
  while (!in_->opened && clock::now() < until) std::this_thread::sleep_for(1ms);
  in_->running = in_->wanted.callers;
  for (int i = 0; i < in_->wanted.callers; ++i) asio::co_spawn(in_->io, in_->caller(i), asio::detached);
  return in_->opened && await_successes(count);
}

bool rig::await_successes(int count, milliseconds limit) {
  const auto read = [this] {
    const std::lock_guard lock(in_->mutex);
    return in_->successes;
  };
  const auto goal = read() + static_cast<std::uint64_t>(count);
  const auto until = clock::now() + limit;
  while (read() < goal) {
    if (clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

bool rig::stop() {
  in_->stopping = true;
  const auto until = clock::now() + hang;
  while (in_->running > 0 && clock::now() < until) std::this_thread::sleep_for(2ms);
  return in_->running == 0;
}

counts rig::stats() const {
  const auto s = in_->connections->stats();
  counts out;
  out.total = s.total_connections;
  out.active = s.active_connections;
  out.idle = s.idle_connections;
  out.connecting = s.connecting;
  out.upkeep = s.validating + s.resetting + s.closing;
  out.waiting = s.waiting;
  out.connects_started = s.connects_started;
  out.connection_errors = s.connection_errors;
  out.created = s.connections_created;
  out.closed = s.connections_closed;
  out.checkouts = s.total_checkouts;
  out.validations = s.validations;
  out.state = tidepool::to_string(s.state);
  out.breaker = tidepool::to_string(s.breaker);
  return out;
}

std::string rig::last_error() const {
  const std::lock_guard lock(in_->mutex);
  return in_->last;
}
std::vector<request_log> rig::requests() const {
  const std::lock_guard lock(in_->mutex);
  return in_->log;
}

request_log rig::request_now(milliseconds timeout, const std::string& statement) {
  std::promise<request_log> done;
  auto value = done.get_future();
  const std::string sql = statement.empty() ? in_->wanted.statement : statement;
  asio::co_spawn(in_->io, in_->one(timeout, sql, in_->wanted.writes || !statement.empty()),
                 [&done](std::exception_ptr failure, request_log out) {
                   if (failure) {
                     done.set_exception(failure);
                   } else {
                     done.set_value(std::move(out));
                   }
                 });
  if (value.wait_for(hang) != std::future_status::ready) {
    // The coroutine still refers to this frame, so there is no way to go on.
    std::fputs("a request hangs\n", stderr);
    std::abort();
  }
  return value.get();
}

moment rig::first_failure(moment from) const {
  const std::lock_guard lock(in_->events->mutex);
  for (const auto at : in_->events->failures) {
    if (at >= from) return at;
  }
  return moment::max();
}
moment rig::first_hang_up(moment from) const { return in_->hang_ups->first(from); }
std::string rig::told() const {
  const std::lock_guard lock(in_->events->mutex);
  return in_->events->text;
}

std::set<int> rig::backends() {
  const auto until = clock::now() + 20s;
  for (;;) {
    const auto now = stats();
    const bool still = now.active == 0 && now.connecting == 0 && now.upkeep == 0 && now.waiting == 0;
    if (still || clock::now() > until) break;
    std::this_thread::sleep_for(5ms);
  }
  return in_->on_loop([this] {
    std::vector<pool::lease> all;
    std::set<int> out;
    for (;;) {
      pool::lease one = in_->connections->try_acquire();
      if (!one) break;
      out.insert(one->backend_pid());
      all.push_back(std::move(one));
    }
    return out;
  });
}

std::string rig::difference(const server& at) {
  return difference([&] { return at.sessions(in_->wanted.application); });
}
std::string rig::difference(const std::function<std::set<int>()>& seen_by_server) {
  const auto until = clock::now() + 20s;
  for (;;) {
    const auto ours = backends();
    const auto theirs = seen_by_server();
    if (ours == theirs && stats().total == ours.size()) return "";
    if (clock::now() > until) {
      const auto now = stats();
      std::string out = "the pool counts " + std::to_string(now.total) + " (" + std::to_string(now.active) + " active, " +
                        std::to_string(now.idle) + " idle, " + std::to_string(now.connecting) + " connecting, " +
                        std::to_string(now.upkeep) + " in upkeep), the server sees " + std::to_string(theirs.size()) + "; ours:";
      for (const int pid : ours) out += ' ' + std::to_string(pid);
      out += "; theirs:";
      for (const int pid : theirs) out += ' ' + std::to_string(pid);
      return out;
    }
    std::this_thread::sleep_for(20ms);
  }
}

milliseconds rig::longest_gap(moment from) const {
  const std::lock_guard lock(in_->mutex);
  clock::duration longest{};
  for (const auto& [at, gap] : in_->gaps) {
    if (at >= from) longest = std::max(longest, gap);
  }
  return std::chrono::duration_cast<milliseconds>(longest);
}
milliseconds rig::latest(moment from) const {
  clock::duration latest = -in_->wanted.acquire_timeout;
  for (const auto& r : requests()) {
    if (r.granted >= from) latest = std::max<clock::duration>(latest, r.granted - r.begun - in_->wanted.acquire_timeout);
  }
  return std::chrono::duration_cast<milliseconds>(latest);
}

milliseconds rig::close(milliseconds grace) {
  const auto begin = clock::now();
  std::promise<void> done;
  auto end = done.get_future();
  asio::co_spawn(
      in_->io, [](pool& p, milliseconds g) -> asio::awaitable<void> { co_await p.close(g); }(*in_->connections, grace),
      [&done](std::exception_ptr) { done.set_value(); });
  if (end.wait_for(hang) != std::future_status::ready) {
    std::fputs("close() hangs\n", stderr);
    std::abort();
  }
  in_->closed = true;
  return std::chrono::duration_cast<milliseconds>(clock::now() - begin);
}

verdict judge(const rig& watched, moment hit, moment cure) {
  verdict out;
  out.hit = hit;
  out.cure = cure;
  const auto first = watched.first_failure(hit);
  if (first != moment::max()) out.detect_ms = ms(first - hit);
  moment last_failure = cure;
  moment first_success = moment::max();
  for (const auto& r : watched.requests()) {
    if (r.ended < hit) continue;
    ++out.requests;
    if (r.how == ending::ok) {
      if (r.ended >= cure && r.ended < first_success) first_success = r.ended;
      continue;
    }
    ++out.failed;
    if (r.how != ending::no_lease) ++out.running;
    if (r.how == ending::wrong) ++out.wrong;
    if (out.first_failure.empty()) out.first_failure = r.why;
    last_failure = std::max(last_failure, r.ended);
  }
  if (first_success != moment::max()) out.recover_ms = ms(std::max(first_success, last_failure) - cure);
  out.latest_ms = std::max(0.0, static_cast<double>(watched.latest(hit).count()));
  out.gap_ms = static_cast<double>(watched.longest_gap(hit).count());
  return out;
}

}  // namespace tidepool_faults
