// SPDX-License-Identifier: BSL-1.0
// tidepool - the real pool under load, watched while faults happen: starting, asking, comparing with the server. The load itself: load.hpp.
// One file of each program includes this, behind what it needs of the driver.
#ifndef TIDEPOOL_TESTS_FAULTS_RIG_CODE_HPP
#define TIDEPOOL_TESTS_FAULTS_RIG_CODE_HPP

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

#include "../support/on_end.hpp"
#include "load.hpp"
#include "rig.hpp"

namespace tidepool_faults {

bool long_mode() { return std::getenv("TIDEPOOL_LONG") != nullptr; }

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
      out.insert(session_number(*one));
      all.push_back(std::move(one));
    }
    return out;
  });
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

const std::string& rig::application() const { return in_->wanted.application; }

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
      tidepool_tests::on_end([&done](std::exception_ptr) { done.set_value(); }));
  if (end.wait_for(hang) != std::future_status::ready) {
    std::fputs("close() hangs\n", stderr);
    std::abort();
  }
  in_->closed = true;
  return std::chrono::duration_cast<milliseconds>(clock::now() - begin);
}

}  // namespace tidepool_faults

#endif
