// SPDX-License-Identifier: BSL-1.0
// tidepool - waits for the socket of a lane, for as long as the lane lives.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_INPUT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_INPUT_HPP

#include <functional>
#include <memory>
#include <utility>

#include "../../../detail/util/asio.hpp"
#include "../../../version.hpp"
#include "../session.hpp"
#include "../waiting.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

class lane_input {
 public:
  explicit lane_input(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  /// From now on `input` is called, on the executor, when the socket can do what was waited for.
  template <class Session>
  void start(Session& of, std::function<void()> input) {
    bound_ = of.executor() != executor_;
    pulse_ = std::make_shared<pulse>();
    pulse_->input = std::move(input);
  }
  template <class Session>
  void wait_readable(Session& of) {
    if (pulse_->reading) return;
    pulse_->reading = true;
    if (tls_pending(of.pg())) {
      asio::post(executor_, ready{pulse_, false});
      return;
    }
    wait(pulse_->writing ? of.socket() : of.socket(wait_type::wait_read), wait_type::wait_read);
  }
  template <class Session>
  void wait_writable(Session& of) {
    if (!pulse_ || pulse_->writing) return;
    pulse_->writing = true;
    wait(of.socket(wait_type::wait_write), wait_type::wait_write);
  }
  /// It is not called any more.
  template <class Session>
  void stop(Session& of) noexcept {
    if (!pulse_) return;
    pulse_->stopped = true;
    pulse_->input = nullptr;
    pulse_.reset();
    if (of.has_socket()) {
      try {
        of.socket().cancel();
      } catch (...) {
      }
    }
  }

 private:
  /// Shared with the handlers of the socket, which may outlive the lane.
  struct pulse {
    std::function<void()> input;
    bool reading = false;
    bool writing = false;
    bool stopped = false;
  };
  /// The function while it runs: that may end the lane, and `stop()` would destroy it. A copy would cost an allocation for each answer.
  struct running {
    pulse& of;
    std::function<void()> input;
    explicit running(pulse& p) noexcept : of(p), input(std::move(p.input)) {}
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    ~running() {
      if (!of.stopped) of.input = std::move(input);
    }
  };
  struct ready {
    std::shared_ptr<pulse> of;
    bool writing;
    void operator()(error_code failed = {}) const {
      (writing ? of->writing : of->reading) = false;
      if (failed == asio::error::operation_aborted || !of->input) return;
      const running call(*of);
      call.input();
    }
  };

  /// On the socket's own executor, where that is this one, a wait costs half as much.
  template <class Socket>
  void wait(Socket& on, wait_type what) {
    ready then{pulse_, what == wait_type::wait_write};
    if (bound_) {
      on.async_wait(what, asio::bind_executor(executor_, std::move(then)));
    } else {
      on.async_wait(what, std::move(then));
    }
  }

  asio::any_io_executor executor_;
  std::shared_ptr<pulse> pulse_;
  bool bound_ = true;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
