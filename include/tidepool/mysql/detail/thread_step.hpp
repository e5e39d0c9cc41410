// SPDX-License-Identifier: BSL-1.0
// tidepool - a step of a login on a thread of its own, because the client library waits for the peer in it.
#ifndef TIDEPOOL_MYSQL_DETAIL_THREAD_STEP_HPP
#define TIDEPOOL_MYSQL_DETAIL_THREAD_STEP_HPP

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "../../detail/driver/side_thread.hpp"
#include "../../version.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// What the thread tells.
struct thread_step {
  std::atomic<bool> done{false};
  int status = 0;
};
/// Held by the coroutine meanwhile. Where that ends first, the socket is shut, and the step is over at once.
template <class = void>
class basic_thread_step_guard {
 public:
  basic_thread_step_guard(session& on, std::shared_ptr<thread_step> step) noexcept : on_(on), step_(std::move(step)) {}
  basic_thread_step_guard(const basic_thread_step_guard&) = delete;
  basic_thread_step_guard& operator=(const basic_thread_step_guard&) = delete;
  ~basic_thread_step_guard() {
    if (step_->done.load(std::memory_order_acquire)) return;
    on_.shutdown->request(shutdown_reason::aborted);
    while (!step_->done.load(std::memory_order_acquire)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // NOLINT(clock): the thread is a real one
    }
  }

 private:
  session& on_;
  std::shared_ptr<thread_step> step_;
};
using thread_step_guard = basic_thread_step_guard<>;

/// `session::go_on` on a thread, until `until` at the latest: then the socket is shut, which ends it.
template <class = void>
inline asio::awaitable<int> go_on_thread(session_ptr s, int events, clock::time_point until) {
  const auto step = std::make_shared<thread_step>();
  real_timer timer(s->executor());
  std::weak_ptr<gate> waiting;
  std::shared_ptr<gate_opener> opener;
  {
    // The timer's handler keeps the gate alive; the thread does not.
    const auto keeper = std::make_shared<gate_keeper>();
    waiting = keeper->waiting();
    opener = keeper->opener();
    timer.expires_at(until);
    timer.async_wait([keeper](error_code) { keeper->open(); });
  }
  session* const on = s.get();  // the guard below keeps it
  const bool started = tidepool::detail::driver::on_side_thread([on, step, events, opener]() noexcept {
    step->status = on->go_on(events);
    step->done.store(true, std::memory_order_release);
    opener->open();
  });
  if (!started) throw connect_error(errc::connect_failed, s->peer + ": no thread could be started for the login");
  const thread_step_guard hold(*s, step);
  co_await gate::wait(waiting);
  while (!step->done.load(std::memory_order_acquire)) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      throw system_error(asio::error::make_error_code(asio::error::operation_aborted));
    s->shutdown->request(shutdown_reason::deadline);
    timer.expires_after(std::chrono::milliseconds(1));
    co_await tidepool::detail::await_timer(timer);
  }
  co_return step->status;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
