// SPDX-License-Identifier: BSL-1.0
// tidepool - the coroutines that work on connections: connect, validate, reset, close.
//
// Each runs on a strand of its own (in a pool of one thread: on its executor), started by a post and never inside a caller; its frame owns
// the entry once the core has given it up, and a frame destroyed half-way (the context is going) counts as a failed operation.
#ifndef TIDEPOOL_DETAIL_SHELL_OPERATIONS_HPP
#define TIDEPOOL_DETAIL_SHELL_OPERATIONS_HPP

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../../lint.hpp"
#include "../../version.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Ties an operation's frame to its entry: the operation ends exactly once, whatever becomes of the frame.
template <class Connection, class Traits>
class pool_impl<Connection, Traits>::running_op {
 public:
  running_op(std::shared_ptr<pool_impl> pool, entry& e, slot_action what) noexcept : pool_(std::move(pool)), entry_(&e), what_(what) {}
  running_op(running_op&& other) noexcept
      : pool_(std::move(other.pool_)), entry_(std::exchange(other.entry_, nullptr)), what_(other.what_), span_(std::move(other.span_)) {}
  running_op& operator=(running_op&&) = delete;
  ~running_op() {
    if (entry_) failed(failure_kind::transient, "cancelled");
  }

  pool_impl& pool() const noexcept { return *pool_; }
  entry& slot() const noexcept { return *entry_; }
  /// `none`: a connect.
  slot_action what() const noexcept { return what_; }

  /// Whether the pool still waits for it. Its connection is shut otherwise.
  bool wanted() const noexcept {
    const lock_type lock(pool_->mutex_);
    return entry_->state != slot_state::gone;
  }
  /// Where it is traced: it begins.
  void begin_span() noexcept {
    if constexpr (front::has_tracer) {
      constexpr trace_step steps[] = {trace_step::connect, trace_step::validate, trace_step::reset, trace_step::close};
      const auto step = what_ == slot_action::validate ? steps[1]
                        : what_ == slot_action::reset  ? steps[2]
                        : what_ == slot_action::close  ? steps[3]
                                                       : steps[0];
      const std::string_view server = entry_->ready ? entry_->server() : std::string_view();
      span_.begin(pool_->tracer_, trace_start{step, {}, pool_->config().name.view(), entry_->id, {}, server, {}, {}});
      if (entry_->ready) trace_in(entry_->target(), span_.context());
    }
  }
  template <class Event>
  void done(Event event) noexcept {
    pool_->record_work_end(*entry_, work_end::done);
    end_span({});
    pool_->end_op(*std::exchange(entry_, nullptr), event, [] {});
  }
  void connected() noexcept {
    end_span({});
    pool_->connect_succeeded(*std::exchange(entry_, nullptr));
  }
  void failed(failure_kind kind, std::string error) noexcept {
    if (what_ != slot_action::none) pool_->record_work_end(*entry_, work_end::failed);
    end_span(error.empty() ? std::string_view("failed") : std::string_view(error));
    pool_->op_failed(*std::exchange(entry_, nullptr), what_, kind, std::move(error));
  }

 private:
  void end_span(std::string_view error) noexcept {
    if constexpr (front::has_tracer) span_.end(error);
  }

  std::shared_ptr<pool_impl> pool_;
  entry* entry_;
  slot_action what_;
  TIDEPOOL_NO_UNIQUE_ADDRESS span_type span_;  ///< ends before the pool that it belongs to
};

/// Asio's own category compares with `std::errc` in newer versions only.
inline bool is_refusal(const error_code& code) noexcept {
  return code == generic_errc::connection_refused || (code.value() == static_cast<int>(asio::error::connection_refused) &&
                                                      same_category(code.category(), asio::error::get_system_category()));
}

/// What a caught exception says, for reports.
struct caught {
  std::string text = "unknown exception";
  failure_kind kind = failure_kind::transient;

  /// To be called while an exception is handled.
  static caught current() {
    caught out;
    try {
      throw;
    } catch (const std::exception& e) {
      out.text = e.what();
    } catch (...) {
    }
    try {  // and not by dynamic_cast: that wants RTTI
      throw;
    } catch (const connect_failure& e) {
      out.kind = e.kind();
    } catch (const system_error& e) {
      if (is_refusal(e.code())) out.kind = failure_kind::refused;
    } catch (...) {
      if constexpr (two_kinds_of_errors) {
        if (is_refusal(code_of_std_exception())) out.kind = failure_kind::refused;
      }
    }
    return out;
  }
};

// --- starting ---------------------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::start_connect(pool_actions& a) noexcept {
  std::unique_ptr<entry> e;
  try {
    e = std::make_unique<entry>(*this);
    e->op = std::make_shared<op_state<Traits>>(executor_);
  } catch (...) {  // out of memory: a failed connect
    const guard held(*this, a);
    return core_.connect_not_started(precise_now<Traits>(), a);
  }
  bool wanted = false;
  {
    const guard held(*this, a);
    wanted = core_.register_connect(*e, precise_now<Traits>(), a);
    if constexpr (records) {
      if (wanted) recorder_.connect_begun(e->id, e->born);
    }
  }
  if (!wanted) return;  // the pool was closed meanwhile
  spawn(*e.release(), slot_action::none);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::start_op(entry& e, slot_action what) noexcept {
  std::shared_ptr<op_state<Traits>> op;
  try {
    op = std::make_shared<op_state<Traits>>(executor_);
  } catch (...) {  // out of memory: the operation counts as failed
  }
  bool wanted = false;
  {
    const lock_type lock(mutex_);
    wanted = core_.op_started(e);
    if (wanted) e.op = op;
    if constexpr (records) {
      if (wanted) record_work(e, what);
    }
  }
  if (!wanted) return free_entry(&e);  // cancelled before it began
  if (!op) return op_failed(e, what, failure_kind::transient, "out of memory");
  spawn(e, what);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::spawn(entry& e, slot_action what) noexcept {
  const std::shared_ptr<op_state<Traits>> op = e.op;
  running_op run(this->shared_from_this(), e, what);
  try {
    asio::post(op->executor, [op, run = std::move(run)]() mutable {
      if (!run.wanted()) return;  // the end of `run` says so
      run.begin_span();
      asio::awaitable<void, op_executor> body;
      switch (run.what()) {
        case slot_action::validate: body = run_validate(std::move(run)); break;
        case slot_action::reset: body = run_reset(std::move(run)); break;
        case slot_action::close: body = run_close(std::move(run)); break;
        default: body = run_connect(std::move(run)); break;
      }
      asio::co_spawn(op->executor, std::move(body), op_ended<Traits>{op});
    });
  } catch (...) {  // the end of `run` counts as a failure
  }
}

// --- the operations ---------------------------------------------------------------------------------------------------

template <class Connection, class Traits>
asio::awaitable<void, typename pool_impl<Connection, Traits>::op_executor> pool_impl<Connection, Traits>::run_connect(running_op op) {
  pool_impl& self = op.pool();
  entry& e = op.slot();
  caught error;
  bool ok = false;
  try {
    unsigned attempt = 1;
    {
      const lock_type lock(self.mutex_);
      attempt += static_cast<unsigned>(self.core_.failures_in_a_row());
    }
    const auto deadline = time_of<Traits>(later(e.born, self.config().connect_timeout));
    const connection_limits limits{self.config().response_timeout, self.config().close_timeout};
    const connect_context context(self.executor_, deadline, attempt, self.config().name.view(), limits);
    connect_context first = context;
    Connection made = co_await self.connect_(std::move(first));
    e.connection.emplace(std::move(made));
    ok = usable(*e.connection);
    if constexpr (has_lint<target_type>) {
      if (ok && self.asks_for_limits()) {
        ok = co_await self.tell_limits(e);
        if (!ok) {  // the question has cost the connection: another one, without it
          e.connection.reset();
          connect_context second = context;
          Connection again = co_await self.connect_(std::move(second));
          e.connection.emplace(std::move(again));
          ok = usable(*e.connection);
        }
      }
    }
    if constexpr (can::validate && can::custom_validation) {
      // Part of the connect: what the policy refuses has never been a connection, and is tried again as a failed connect is.
      if (ok) {
        ok = false;
        co_await self.validate_by_policy(e);
        ok = usable(*e.connection);
      }
    }
    if (!ok) error.text = e.target() ? "the new connection is not usable" : "the connector returned a null pointer";
    if (ok) self.watch_peer(e);
  } catch (...) {
    error = caught::current();
    if constexpr (can::custom_validation) {
      // Not where the pool itself ended the wait: then the policy has said nothing.
      if (e.connection && op.wanted()) tell_rejected(*e.connection);
    }
  }
  if (ok) {
    op.connected();
  } else {
    op.failed(error.kind, std::move(error.text));
  }
}

/// True once, and again after `reconfigure()`, where somebody hears of it.
template <class Connection, class Traits>
bool pool_impl<Connection, Traits>::asks_for_limits() noexcept {
  if (!tells<server_limit_event>()) return false;
  const lock_type lock(mutex_);
  return !std::exchange(told_limits_, true);
}
/// Of a new connection that no caller has. False: it is not usable any more.
template <class Connection, class Traits>
asio::awaitable<bool, typename pool_impl<Connection, Traits>::op_executor> pool_impl<Connection, Traits>::tell_limits(entry& e) {
  std::vector<limit_finding> found;
  try {
    found = co_await e.target()->lint(this->config());
  } catch (...) {  // a server that does not tell
  }
  const std::string server = server_of(*e.connection);
  for (const limit_finding& one : found) tell([&] { return server_limit_event{server, one}; });
  co_return usable(*e.connection);
}

template <class Connection, class Traits>
asio::awaitable<void, typename pool_impl<Connection, Traits>::op_executor> pool_impl<Connection, Traits>::run_validate(running_op op) {
  pool_impl& self = op.pool();
  const Connection& connection = *op.slot().connection;
  const auto generation = op.slot().generation;
  caught error;
  bool ok = false;
  try {
    if (!usable(connection)) throw std::runtime_error("not usable any more");
    [[maybe_unused]] target_type& target = *op.slot().target();
    // The policy's own way, else the pool's `validation_query`, else the connection's own ping.
    if constexpr (can::custom_validation) {
      co_await self.validate_by_policy(op.slot());
    } else if constexpr (can::query) {
      const bool by_query = self.config().test_on_borrow && !self.config().validation_query.empty();
      if constexpr (has_ping<target_type>) {
        if (by_query) {
          co_await target.ping(self.config().validation_query.view());
        } else {
          co_await target.ping();
        }
      } else {
        co_await target.ping(self.config().validation_query.view());
      }
    } else if constexpr (has_ping<target_type>) {
      co_await target.ping();
    }
    ok = usable(connection);
    if (!ok) error.text = "not usable any more";
  } catch (...) {
    error = caught::current();
    if constexpr (can::custom_validation) {
      if (op.wanted()) tell_rejected(*op.slot().connection);
    }
  }
  if (ok) {
    op.done([](core_type& core, entry& slot, tick now, core_actions& a) { core.validated(slot, true, now, a); });
  } else {
    const bool outdated = after_lease(connection) == lease_end::outdated;
    op.failed(error.kind, std::move(error.text));
    if (outdated) self.outdate(generation);
  }
}

template <class Connection, class Traits>
asio::awaitable<void, typename pool_impl<Connection, Traits>::op_executor> pool_impl<Connection, Traits>::run_reset(running_op op) {
  const auto generation = op.slot().generation;
  caught error;
  bool ok = false;
  try {
    if constexpr (has_reset<target_type>) {
      co_await op.slot().target()->reset();
      ok = usable(*op.slot().connection);
      if (!ok) error.text = "not usable after its reset";
    } else {
      error.text = "it needs a reset and has none";
    }
  } catch (...) {
    error = caught::current();
  }
  if (ok) {
    op.done([](core_type& core, entry& e, tick now, core_actions& a) { core.reset_done(e, true, now, a); });
  } else {
    const bool outdated = after_lease(*op.slot().connection) == lease_end::outdated;
    op.failed(error.kind, std::move(error.text));
    if (outdated) op.pool().outdate(generation);
  }
}

template <class Connection, class Traits>
asio::awaitable<void, typename pool_impl<Connection, Traits>::op_executor> pool_impl<Connection, Traits>::run_close(running_op op) {
  try {
    if constexpr (has_close<target_type>) {
      target_type* const target = op.slot().target();
      if (target) co_await target->close();
    }
  } catch (...) {  // it is going either way
  }
  // Destroyed before the core hears of it, because it counts against `max_size` until then; but not while `abort()` uses it.
  entry& e = op.slot();
  bool mine = false;
  {
    const lock_type lock(op.pool().mutex_);
    mine = op.pool().core_.op_ending(e);
  }
  if (mine) e.connection.reset();
  op.done([](core_type& core, entry& slot, tick now, core_actions& a) { core.closed(slot, now, a); });
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
