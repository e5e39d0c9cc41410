// SPDX-License-Identifier: BSL-1.0
// tidepool - the two decisions of the core as tables: what becomes of a caller, and where a free connection goes.
#include <tidepool/detail/core/decisions.hpp>

#include <vector>

#include "support/catch.hpp"

namespace {

using namespace tidepool::detail;
using tidepool::close_reason;
using tidepool::errc;
using tidepool::lease_end;

constexpr close_reason ended_by = close_reason::recycled;  // why the latest generation did

/// A change of the usual case, in which a healthy connection comes back to a pool without callers.
struct return_row {
  const char* given;
  void (*change)(routing_input&);
  destination to;
  close_reason why = {};
};

TEST_CASE("given a free connection, when one thing is special, then it goes where the table says", "[INV-19][R1]") {
  const return_row table[] = {
      {"nothing", [](routing_input&) {}, destination::idle},
      {"a caller waits", [](routing_input& f) { f.caller_waits = true; }, destination::waiter},
      {"a caller waits, a look is due", [](routing_input& f) { f.caller_waits = true, f.fresh = false; }, destination::idle},
      {"a caller waits, suspended", [](routing_input& f) { f.caller_waits = true, f.admits = false; }, destination::idle},
      {"broken", [](routing_input& f) { f.end = lease_end::broken; }, destination::destroy, close_reason::broken},
      {"unfinished", [](routing_input& f) { f.end = lease_end::unfinished; }, destination::close, close_reason::broken},
      {"retired", [](routing_input& f) { f.end = lease_end::retired; }, destination::close, close_reason::retired},
      {"outdated", [](routing_input& f) { f.end = lease_end::outdated; }, destination::close, close_reason::outdated},
      {"needs a reset", [](routing_input& f) { f.end = lease_end::needs_reset; }, destination::reset},
      {"the pool closes", [](routing_input& f) { f.running = f.admits = false; }, destination::close, close_reason::shutdown},
      {"of an older generation", [](routing_input& f) { f.current = false; }, destination::close, ended_by},
      {"leased too often", [](routing_input& f) { f.worn_out = true; }, destination::close, close_reason::max_uses},
      {"one too many", [](routing_input& f) { f.surplus = true; }, destination::close, close_reason::shrunk},
      {"too old", [](routing_input& f) { f.too_old = true; }, destination::close, close_reason::lifetime},
  };
  for (const return_row& one : table) {
    INFO(one.given);
    routing_input f;
    one.change(f);
    const route next = where_to(f, ended_by);
    CHECK(next.to == one.to);
    if (next.to == destination::close || next.to == destination::destroy) CHECK(next.why == one.why);
  }
}

TEST_CASE("given a free connection, when several things are special, then its own state decides first", "[R1][L1]") {
  routing_input f;
  f.caller_waits = true;
  f.end = lease_end::needs_reset;
  CHECK(where_to(f, ended_by).to == destination::reset);  // also with a caller in line
  f.too_old = true;
  CHECK(where_to(f, ended_by).to == destination::reset);  // its age is looked at after the reset
  f.surplus = true;
  CHECK(where_to(f, ended_by).why == close_reason::shrunk);  // no reset for what is closed anyway
  f.current = false;
  CHECK(where_to(f, ended_by).why == ended_by);
  f.worn_out = true;
  CHECK(where_to(f, ended_by).why == close_reason::max_uses);
  f.running = f.admits = false;
  CHECK(where_to(f, ended_by).why == close_reason::shutdown);
  f.end = lease_end::unfinished;
  CHECK(where_to(f, ended_by).to == destination::close);
  f.end = lease_end::broken;
  CHECK(where_to(f, ended_by).to == destination::destroy);
}

struct question_row {
  const char* given;
  void (*change)(admission_input&);
  admission what;
  errc why = {};
};

TEST_CASE("given a caller, when it asks, then it is served, queued or refused as the table says", "[INV-6][T9]") {
  const question_row table[] = {
      {"nothing idle", [](admission_input&) {}, admission::queue},
      {"one idle", [](admission_input& f) { f.idle_there = f.idle_fresh = true; }, admission::serve},
      {"one idle, a look is due", [](admission_input& f) { f.idle_there = true; }, admission::queue},
      {"the same, no time for a look", [](admission_input& f) { f.idle_there = true, f.can_wait = false; }, admission::serve},
      {"one idle, others wait", [](admission_input& f) { f.idle_there = f.idle_fresh = f.others_wait = true; }, admission::queue},
      {"one idle, suspended", [](admission_input& f) { f.idle_there = f.idle_fresh = true, f.admits = false; }, admission::queue},
      {"one idle, the queue is full", [](admission_input& f) { f.idle_there = f.idle_fresh = f.queue_full = true; }, admission::serve},
      {"the queue is full", [](admission_input& f) { f.queue_full = true; }, admission::refuse, errc::queue_full},
      {"no time", [](admission_input& f) { f.can_wait = false; }, admission::refuse, errc::timeout},
      {"no time, the queue is full", [](admission_input& f) { f.can_wait = false, f.queue_full = true; }, admission::refuse, errc::timeout},
      {"the breaker is open", [](admission_input& f) { f.hopeless = errc::circuit_open; }, admission::refuse, errc::circuit_open},
      {"connecting fails", [](admission_input& f) { f.hopeless = errc::connect_failed; }, admission::refuse, errc::connect_failed},
      {"it closes", [](admission_input& f) { f.running = f.admits = false; }, admission::refuse, errc::closed},
      {"it closes, one idle", [](admission_input& f) { f.running = false, f.idle_there = f.idle_fresh = true; }, admission::refuse,
       errc::closed},
  };
  for (const question_row& one : table) {
    INFO(one.given);
    admission_input f;
    one.change(f);
    const auto verdict = admit(f);
    CHECK(verdict.what == one.what);
    CHECK(verdict.why == one.why);
  }
}

}  // namespace
