// SPDX-License-Identifier: BSL-1.0
// tidepool - who asks a cluster for a lease: in its queue, and on the way to a connection.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CALLERS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CALLERS_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "../../../detail/shell/pool_entry.hpp"
#include "../../../detail/util/cancellation.hpp"
#include "../../../detail/util/words.hpp"
#include "../../../version.hpp"
#include "../../cluster_error.hpp"
#include "../../read_options.hpp"
#include "attempt.hpp"
#include "hub.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

using tidepool::detail::in_words;

template <class Pool>
class caller_desk : public cluster_hub<Pool> {
  using base = cluster_hub<Pool>;

 public:
  using lease = typename Pool::lease;
  using lease_type = basic_cluster_lease<Pool>;

 protected:
  using base::base;
  using base::core_, base::event, base::how_, base::mutex_, base::nodes_, base::ready_;

  /// A lease, or cluster_error.
  static asio::awaitable<lease_type> serve(std::shared_ptr<caller_desk> self, bool writes, read_options wanted, duration limit,
                                           source_location where) {
    const auto until = later(clock::now(), limit);
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    caller me(self);
    me.asked.writes = writes;
    me.asked.max_lag = wanted.max_lag;
    me.asked.not_before = wanted.not_before.lsn;
    me.asked.fallback = wanted.fallback;
    std::optional<real_timer> timer;
    ending end;
    lease_type out;
    while (!out && end.kind == ending::none) {
      if (!self->enqueue(me)) {
        end = {ending::failed, make_error_code(tidepool::errc::queue_full), "max_waiting callers wait already"};
        break;
      }
      std::shared_ptr<attempt<Pool>> running;
      lease granted;
      for (;;) {
        const auto how = self->verdict_of(me);
        if (how == verdict::granted && !running) {
          const auto db = self->pool_of(me);
          if (db) granted = take_idle(*db, where);
          if (granted) break;
          running = attempt<Pool>::begin(db, me.wakes, here, until, where);
        }
        if (running && running->done()) break;
        if (how != verdict::waiting && how != verdict::granted) break;
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
          end = {ending::failed, make_error_code(tidepool::errc::cancelled), "cancelled by its caller"};
          break;
        }
        if (clock::now() >= until) {
          end = {ending::failed, make_error_code(tidepool::errc::timeout), {}};
          break;
        }
        if (until != clock::time_point::max() && !timer) {
          timer.emplace(here);
          timer->expires_at(until);
          timer->async_wait([weak = std::weak_ptr<wake_event>(me.wakes)](error_code failed) {
            const auto alive = weak.lock();
            if (!failed && alive) alive->set();
          });
        }
        const auto opens = me.wakes->next();
        co_await wake_event::gate::wait(opens);
        me.wakes->reset();
      }
      std::optional<pool_error> failure;
      if (running) {
        auto got = running->take();
        granted = std::move(got.granted);
        failure = std::move(got.failure);
      }
      if (granted) {
        out = self->hand_out(me, std::move(granted));
        if (out) end = ending();
        continue;
      }
      attempt<Pool>::leave(running);
      if (end.kind == ending::none) end = self->judge(me, failure);
      if (end.kind == ending::none && failure) {
        // The host answers, and its pool has no connection: the host is asked again now, and this caller does not go round and round.
        self->no_connection(me);
        real_timer pause(here);
        pause.expires_at(std::min(until, later(clock::now(), std::chrono::milliseconds(50))));
        error_code ignored;
        co_await tidepool::detail::await_timer(pause, ignored);
      }
    }
    timer.reset();
    co_await asio::this_coro::throw_if_cancelled(throws);
    if (!out) self->fail(writes, end, limit, where);
    co_return out;
  }
  /// The context is being destroyed, and the coroutines of callers with it.
  void add_waiting(wake_chain& to) const noexcept {
    const std::lock_guard lock(mutex_);
    for (const caller* c = callers_.front(); c != nullptr; c = callers_.after(*c)) to.add(c->wakes);
  }

 private:
  /// In the frame of a caller's coroutine.
  struct caller : tidepool::detail::list_hook {
    struct in_core : waiter {
      caller* of = nullptr;
    };
    explicit caller(std::shared_ptr<caller_desk> of) : owner(std::move(of)) {
      asked.of = this;
      asked.complete = [](waiter& w) noexcept {
        caller& self = *static_cast<in_core&>(w).of;
        self.owner->ready_.add(self.wakes);
      };
      owner->add(*this);
    }
    caller(const caller&) = delete;
    caller& operator=(const caller&) = delete;
    ~caller() { owner->remove(*this); }

    std::shared_ptr<caller_desk> owner;
    in_core asked{};
    std::shared_ptr<wake_event> wakes = std::make_shared<wake_event>();
  };
  /// How an acquire ends without a lease.
  struct ending {
    enum what { none, failed };
    ending() = default;
    ending(what is, error_code code, std::string words) : kind(is), why(code), text(std::move(words)) {}
    what kind = none;
    error_code why{};
    std::string text{};
  };

  void add(caller& c) {
    const std::lock_guard lock(mutex_);
    callers_.push_back(c);
  }
  /// Gives back what it has not handed out.
  void remove(caller& c) noexcept {
    event([&](tick now) {
      core_.give_up(c.asked, now);
      callers_.erase(c);
    });
  }
  /// False: too many wait.
  bool enqueue(caller& me) {
    bool room = true;
    event([&](tick now) {
      const auto most = how_.primary.max_waiting;
      room = me.asked.ticket != 0 || most == no_limit || core_.waiting() < most;
      if (!room) return;
      core_.give_up(me.asked, now);  // a place whose pool had no connection
      core_.ask(me.asked, now);
    });
    return room;
  }
  verdict verdict_of(const caller& me) const {
    const std::lock_guard lock(mutex_);
    return me.asked.how;
  }
  std::shared_ptr<Pool> pool_of(const caller& me) const {
    const std::lock_guard lock(mutex_);
    return me.asked.host == no_host ? nullptr : nodes_[me.asked.host].db;
  }
  /// An idle connection that needs no validation.
  static lease take_idle(const Pool& db, const source_location& where) {
    const auto front = tidepool::detail::make_lease::maker_of(db);
    return tidepool::detail::make_lease::of<lease>(front->take(where, false));
  }
  /// Empty where the host lost its place in this moment: then the lease goes back to its pool, and the caller asks again.
  lease_type hand_out(caller& me, lease granted) {
    auto p = std::make_unique<place<Pool>>();
    p->host = me.asked.host;
    p->stop = granted->canceller();
    p->owner = this->shared_from_this();
    bool still = false;
    event([&](tick) {
      still = me.asked.how == verdict::granted && me.asked.counts;
      if (!still) return;
      p->at_primary = me.asked.at_primary;
      p->held = &*granted;
      p->standing = &nodes_[p->host].standing;
      core_.got(me.asked);
      nodes_[p->host].leases.push_back(*p);
    });
    return still ? lease_type(std::move(granted), std::move(p)) : lease_type();
  }
  /// What the end of a wait means.
  ending judge(const caller& me, const std::optional<pool_error>& failure) const {
    switch (verdict_of(me)) {
      case verdict::closed: return {ending::failed, make_error_code(tidepool::errc::closed), "the cluster is closed"};
      case verdict::refused: return {ending::failed, make_error_code(tidepool::errc::connect_failed), "no host lets this program in"};
      case verdict::unfit:
        return {ending::failed, make_error_code(generic_errc::resource_unavailable_try_again), "no replica is within the bound"};
      default: break;
    }
    if (!failure) return {};
    // The pool of a host that was removed is closed as well.
    if (failure->code() == tidepool::errc::closed && stopped())
      return {ending::failed, make_error_code(tidepool::errc::closed), "the cluster is closed"};
    const bool for_good = failure->code() == tidepool::errc::connect_failed && failure->report().connect_failure == failure_kind::permanent;
    if (for_good) return {ending::failed, make_error_code(tidepool::errc::connect_failed), failure->report().text("; ")};
    return {};
  }
  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return this->stopped_;
  }
  void no_connection(caller& me) noexcept {
    event([&](tick now) {
      if (me.asked.host != no_host) core_.doubt(me.asked.host, now);
    });
  }
  [[noreturn]] void fail(bool writes, const ending& how, duration limit, const source_location& where) const {
    auto seen = this->topology();
    std::string text =
        "cluster \"" + std::string(how_.primary.name.view()) + "\": no " + (writes ? "writable connection" : "connection to read");
    if (how.why == tidepool::errc::timeout) text += limit <= duration::zero() ? " at once" : " within " + in_words(limit);
    if (const auto at = tidepool::detail::place(where); !at.empty()) text += ", asked for at " + at;
    text += ": ";
    if (!how.text.empty()) text += how.text + "; ";
    text += seen.text();
    throw cluster_error(how.why, text, std::move(seen));
  }

  tidepool::detail::intrusive_list<caller> callers_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
