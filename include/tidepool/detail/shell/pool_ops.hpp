// SPDX-License-Identifier: BSL-1.0
// tidepool - the coroutines that work on connections: connect, validate, reset, close. Included by pool_impl.hpp.
//
// Each runs on a strand of its own, started by a post and never inside a caller; its frame owns the entry once the core has let go
// of it, and a frame destroyed half-way (the context is going) counts as a failed operation.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_OPS_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_OPS_HPP

#include "../../version.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Ties an operation's frame to its entry: the operation ends exactly once, whatever becomes of the frame.
template <class Connection, class Traits>
class pool_impl<Connection, Traits>::running_op {
 public:
  running_op(std::shared_ptr<pool_impl> pool, entry& e, slot_action what) noexcept : pool_(std::move(pool)), entry_(&e), what_(what) {}
  running_op(running_op&& other) noexcept
      : pool_(std::move(other.pool_)), entry_(std::exchange(other.entry_, nullptr)), what_(other.what_) {}
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
  template <class Event>
  void done(Event event) noexcept {
    pool_->end_op(*std::exchange(entry_, nullptr), event, [] {});
  }
  void connected() noexcept { pool_->connect_succeeded(*std::exchange(entry_, nullptr)); }
  void failed(failure_kind kind, std::string error) noexcept {
    pool_->op_failed(*std::exchange(entry_, nullptr), what_, kind, std::move(error));
  }

 private:
  std::shared_ptr<pool_impl> pool_;
  entry* entry_;
  slot_action what_;
};

/// A connection that proves lost: why, for reports, and as the latest failed connect if it never served. Made without the lock, by whoever
/// has the entry.
template <class Connection, class Traits>
class pool_impl<Connection, Traits>::loss {
 public:
  loss(pool_impl& pool, const core_slot& slot, std::string_view server, std::string_view cause) noexcept : pool_(pool) {
    try {
      text_ = "connection " + std::to_string(slot.id) + (server.empty() ? "" : " to ") + std::string(server) +
              " was lost before it served anybody: ";
      text_ += cause;
      kept_ = text_.substr(0, 512);
    } catch (...) {  // an empty text is all there is room for
    }
  }
  loss(pool_impl& pool, entry& e, std::string cause) noexcept : loss(pool, e, server_of(*e.connection), cause) {
    e.keep_words(&entry_words::cause, std::move(cause));
    answered_ = last_round_trip(*e.connection);
  }
  loss(pool_impl& pool, entry& e, const char* found) noexcept : loss(pool, e, why_broken(*e.connection, found)) {}
  loss(const loss&) = delete;
  loss& operator=(const loss&) = delete;

  /// Under the lock, before the core hears of it: the server may have answered since, with the reason for ending the session.
  void answer(core_slot& slot) const noexcept {
    if (answered_ <= slot.last_ok) return;
    slot.last_ok = answered_;
    slot.answered = true;
  }
  /// Under the lock, after the core has heard of it.
  void note(core_slot& slot, tick now) noexcept {
    if (!std::exchange(slot.died_unserved, false)) return;
    pool_.last_error_.swap(kept_);
    pool_.last_error_at_ = now;
    in_a_row_ = pool_.core_.failures_in_a_row();
  }
  /// Without it.
  void tell() noexcept {
    if (in_a_row_ > 0) pool_.tell([&] { return connect_failed_event{text_, in_a_row_, failure_kind::transient}; });
  }

 private:
  pool_impl& pool_;
  std::string text_;
  std::string kept_;
  tick answered_{};
  std::size_t in_a_row_ = 0;
};

/// Asio's own category compares with `std::errc` in newer versions only.
inline bool is_refusal(const error_code& code) noexcept {
  return code == std::errc::connection_refused || (code.value() == static_cast<int>(asio::error::connection_refused) &&
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
    } catch (const std::system_error& e) {
      if (is_refusal(e.code())) out.kind = failure_kind::refused;
    } catch (...) {
    }
    return out;
  }
};

// --- starting -------------------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::start_connect(pool_actions& a) noexcept {
  std::unique_ptr<entry> e;
  try {
    e = std::make_unique<entry>(*this);
    e->op = std::make_shared<op_state<Traits>>(executor_);
  } catch (...) {
    const lock_type lock(mutex_);
    close_stash();
    core_.connect_not_started(precise_now<Traits>(), a);
    if (a.explain) look(a);
    return open_stash();
  }
  bool wanted = false;
  {
    const lock_type lock(mutex_);
    close_stash();
    wanted = core_.register_connect(*e, precise_now<Traits>(), a);
    if (a.explain) look(a);
    open_stash();
  }
  if (!wanted) return;
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
  }
  if (!wanted) return delete_entry(&e);
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
      asio::awaitable<void, op_executor> body;
      switch (run.what()) {
        case slot_action::validate: body = run_validate(std::move(run)); break;
        case slot_action::reset: body = run_reset(std::move(run)); break;
        case slot_action::close: body = run_close(std::move(run)); break;
        default: body = run_connect(std::move(run)); break;
      }
      asio::co_spawn(op->executor, std::move(body), asio::bind_cancellation_slot(op->signal.slot(), [op](std::exception_ptr) {}));
    });
  } catch (...) {  // the end of `run` counts as a failure
  }
}

// --- the operations -------------------------------------------------------------------------------------------------

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
    const auto deadline = time_of<Traits>(later(e.born, self.config_.connect_timeout));
    connect_context context(self.executor_, deadline, attempt, self.config_.name.view());
    Connection made = co_await self.connect_(std::move(context));
    e.connection.emplace(std::move(made));
    ok = usable(*e.connection);
    if constexpr (can::validate && can::custom_validation) {
      // Part of the connect: what the policy refuses has never been a connection, and is tried again as a failed connect is.
      if (ok) {
        ok = false;
        co_await self.validate_by_policy(e);
        ok = usable(*e.connection);
      }
    }
    if (!ok) error.text = e.target() ? "the new connection is not usable" : "the connector returned a null pointer";
    if (ok) self.watch(e);
  } catch (...) {
    error = caught::current();
  }
  if (ok) {
    op.connected();
  } else {
    op.failed(error.kind, std::move(error.text));
  }
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
    [[maybe_unused]] target_type& peer = *op.slot().target();
    if constexpr (can::custom_validation) {
      co_await self.validate_by_policy(op.slot());
    } else if constexpr (can::query) {
      const bool by_query = self.config_.test_on_borrow && !self.config_.validation_query.empty();
      if constexpr (has_ping<target_type>) {
        if (by_query) {
          co_await peer.ping(self.config_.validation_query.view());
        } else {
          co_await peer.ping();
        }
      } else {
        co_await peer.ping(self.config_.validation_query.view());
      }
    } else if constexpr (has_ping<target_type>) {
      co_await peer.ping();
    }
    ok = usable(connection);
    if (!ok) error.text = "not usable any more";
  } catch (...) {
    error = caught::current();
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
      target_type* const peer = op.slot().target();
      if (peer) co_await peer->close();
    }
  } catch (...) {  // it is going either way
  }
  // Destroyed before the core hears of it, because it counts against `max_size` until then; but not under the hands of `abort()`.
  entry& e = op.slot();
  bool mine = false;
  {
    const lock_type lock(op.pool().mutex_);
    mine = op.pool().core_.op_ending(e);
  }
  if (mine) e.connection.reset();
  op.done([](core_type& core, entry& slot, tick now, core_actions& a) { core.closed(slot, now, a); });
}

// --- peers that hang up ---------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::watch(entry& e) noexcept {
  if constexpr (can::watch) {
    try {
      const auto bell = std::make_shared<std::atomic<bool>>(false);
      e.target()->watch([bell, weak = this->weak_from_this()] {
        bell->store(true, std::memory_order_release);
        if (const auto self = weak.lock()) self->peer_hung_up();
      });
      e.bell = bell;
    } catch (...) {  // it is looked at when it is asked for, and by the sweep
    }
  }
}

/// Connections die together: one look at all whose bell has rung.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::peer_hung_up() noexcept {
  if (look_posted_.exchange(true)) return;
  try {
    asio::post(executor_, [weak = this->weak_from_this()] {
      if (const auto self = weak.lock()) self->look_at_hung_up();
    });
  } catch (...) {
    look_posted_ = false;
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::look_at_hung_up() noexcept {
  look_posted_.exchange(false);  // and so after the bells of those who found it set
  pool_actions a;
  event(a, [&](tick now) { core_.look_at([](core_slot& slot) { return hung_up(static_cast<entry&>(slot)); }, now, a); });
}

// --- ending ---------------------------------------------------------------------------------------------------------

/// `what` is for the core, under the lock; `report` is told afterwards, and only if the pool still cared.
template <class Connection, class Traits>
template <class Event, class Report>
void pool_impl<Connection, Traits>::end_op(entry& e, Event what, Report report) noexcept {
  pool_actions a;
  bool cared = false;
  bool free = false;
  std::shared_ptr<op_state<Traits>> ended;  // a strand must not outlive the context, as an entry may
  {
    const lock_type lock(mutex_);
    close_stash();
    ended.swap(e.op);
    cared = e.state != slot_state::gone;
    if (cared) {
      what(core_, e, precise_now<Traits>(), a);
      free = e.state == slot_state::gone;
    } else {
      free = core_.let_go(e);
    }
    a.pending_actions |= core_.has_pending_actions();
    if (a.explain) look(a);
    open_stash();
  }
  if (cared) report();
  if (free) delete_entry(&e);
  perform(a);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::connect_succeeded(entry& e) noexcept {
  std::string stale;
  std::string server;
  if constexpr (names_servers) {
    server = server_of(*e.connection);
    e.keep_words(&entry_words::server, server);
  }
  created_event created{e.id, {}, server};
  end_op(
      e,
      [&](core_type& core, entry& slot, tick now, core_actions& a) {
        last_error_.swap(stale);
        created.connect_time = now - slot.born;
        slot.ready = true;
        core.connected(slot, now, a);
      },
      [&] { tell([&] { return created; }); });
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::op_failed(entry& e, slot_action what, failure_kind kind, std::string error) noexcept {
  const connection_id id = e.id;
  const auto nothing = [] {};
  switch (what) {
    case slot_action::validate: {
      loss lost(*this, e, error);
      const std::string server(e.server());
      end_op(
          e,
          [&](core_type& core, entry& slot, tick now, core_actions& a) {
            lost.answer(slot);
            core.validated(slot, false, now, a);
            lost.note(slot, now);
          },
          [&] {
            tell([&] { return health_failed_event{id, error, server}; });
            lost.tell();
          });
      break;
    }
    case slot_action::reset: {
      loss lost(*this, e, error);
      end_op(
          e,
          [&](core_type& core, entry& slot, tick now, core_actions& a) {
            lost.answer(slot);
            core.reset_done(slot, false, now, a);
            lost.note(slot, now);
          },
          [&] { lost.tell(); });
      break;
    }
    case slot_action::close:
      end_op(
          e, [](core_type& core, entry& slot, tick now, core_actions& a) { core.closed(slot, now, a); }, nothing);
      break;
    default: {
      std::string kept = error.substr(0, 512);
      std::size_t in_a_row = 0;
      std::size_t alike = 1;
      end_op(
          e,
          [&](core_type& core, entry& slot, tick now, core_actions& a) {
            last_error_.swap(kept);
            last_error_at_ = now;
            core.connect_failed(slot, kind, now, a);
            in_a_row = core.failures_in_a_row();
            alike = core.failures_alike();
          },
          [&] { tell([&] {
                  return connect_failed_event{error, in_a_row, kind, alike};
                }); });
    }
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
