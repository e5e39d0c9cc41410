// SPDX-License-Identifier: BSL-1.0
// tidepool - an operation of a session: marks it busy, and does its work on another thread.
#ifndef TIDEPOOL_SQLITE_DETAIL_OPERATION_HPP
#define TIDEPOOL_SQLITE_DETAIL_OPERATION_HPP

#include <algorithm>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

#include "../../detail/util/asio.hpp"
#include "../../version.hpp"
#include "hop.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

/// Throws where none can run.
template <class = void>
class basic_operation {
 public:
  explicit basic_operation(session& on, bool clean = true) : on_(on) {
    on.check_ready(clean);
    on.busy = true;
    on.touched = true;
  }
  basic_operation(const basic_operation&) = delete;
  basic_operation& operator=(const basic_operation&) = delete;
  ~basic_operation() {
    on_.busy = false;
    if (on_.traced) on_.traced->end(real_now(), true);
  }
  /// For the program's tracing.
  void trace(std::string_view tag, const source_location& from) const noexcept {
    if (on_.traced && !tag.empty()) on_.traced->begin(real_now(), tag, {}, from, on_.peer);
  }

 private:
  session& on_;
};
using operation = basic_operation<>;

template <class = void>
class basic_session_work : public hop_work {
 public:
  explicit basic_session_work(session& on) : on_(on) {}
  void interrupt() noexcept override { on_.cancel(); }
  void ended() noexcept override {
    on_.set_hop(nullptr);
    on_.stop.ended();
  }
  std::exception_ptr failure{};

 protected:
  ~basic_session_work() = default;
  session& on_;
};
using session_work = basic_session_work<>;

template <class Body>
class work_of final : public session_work {
 public:
  work_of(session& on, Body& body) : session_work(on), body_(body), begun_(false) {}
  void perform() noexcept override {
    begun_ = true;
    try {
      on_.throw_stopped();
      on_.watch();
      body_();
    } catch (...) {
      failure = std::current_exception();
    }
    on_.last_answer = real_now();
  }
  bool begun() const noexcept { return begun_; }

 private:
  Body& body_;
  bool begun_;
};

/// Calls `body()` on a thread of the workers, and throws what it throws. It is stopped by a cancellation, by `abort()`, and after `limit`.
template <class Body>
asio::awaitable<void> hop_to(session_ptr s, Body& body, duration limit) {
  work_of<Body> work(*s, body);
  s->stop.begin(std::min(limit, s->settings().response_timeout));
  const auto start = [](auto handler, session_ptr on, work_of<Body>* what) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto& list = asio::use_service<hop_list>(asio::query(asio::get_associated_executor(handler), asio::execution::context));
    auto* const one = new typed_hop<decltype(handler)>(list, *what, std::move(handler));
    list.add(*one);
    on->set_hop(one);
    if (slot.is_connected()) {
      slot.assign([weak = std::weak_ptr<session>(on)](asio::cancellation_type) {
        if (const auto alive = weak.lock()) alive->cancel();
      });
    }
    const auto home = one->home();
    try {
      on->threads().submit(*one);
    } catch (...) {
      what->failure = std::current_exception();
      one->conclude();
      return;
    }
    if (const auto span = on->threads().look_time(); span.count() != 0) list.stay_awake(home, span);
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable, s, &work);
  if (work.failure) std::rethrow_exception(work.failure);
  if (!work.begun()) throw system_error(error_code(asio::error::operation_aborted));  // withdrawn
}

/// One operation. `tag`, `from`: for the program's tracing.
template <class Body>
asio::awaitable<void> on_thread(session_ptr s, Body& body, duration limit, bool clean = true, std::string_view tag = {},
                                source_location from = {}) {
  const operation now(*s, clean);
  now.trace(tag, from);
  co_await hop_to(s, body, limit);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
