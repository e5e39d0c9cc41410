// SPDX-License-Identifier: BSL-1.0
// tidepool - an operation of a session, from its beginning to its end, whatever becomes of it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_OPERATION_HPP
#define TIDEPOOL_POSTGRES_DETAIL_OPERATION_HPP

#include <libpq-fe.h>

#include <utility>

#include "../../version.hpp"
#include "../error.hpp"
#include "request.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Marks a session busy for one operation; it must not be busy (see `refuse_second()`). One that is destroyed before `finished()`
/// (cancelled, context gone) leaves the protocol in the middle of an answer: the connection cannot be used any more.
template <class = void>
class basic_operation {
 public:
  enum class allow { always, clean };

  explicit basic_operation(session& on, allow when = allow::clean) : on_(on) {
    // What is still unread would be taken for the answer of this one.
    if (on.unread && on.pg() != nullptr && !on.broken) (void)on.sound();
    if (on.pg() == nullptr || !on.has_socket() || on.broken || !on.fatal.message.empty() ||
        on.shutdown->reason() != shutdown_reason::none || PQstatus(on.pg()) != CONNECTION_OK) {
      throw on.lost("before this operation");
    }
    if (when == allow::clean && on.needs_reset) throw error(errc::needs_reset, "a cancelled transaction is still open: reset() first");
    on.touched = true;
    on.busy = true;
    on.cancels->activity.fetch_add(1);
    on.limits.begin();
  }
  basic_operation(const basic_operation&) = delete;
  basic_operation& operator=(const basic_operation&) = delete;
  ~basic_operation() {
    on_.busy = false;
    on_.current = nullptr;
    on_.unread = true;
    on_.cancels->activity.fetch_add(1);  // and only then is `in_flight` read: see cancel_mark
    if (on_.traced) on_.traced->end(clock::now(), finished_);
    if (!finished_) leave(nullptr);
  }
  void finished() noexcept { finished_ = true; }

 protected:
  session& on() const noexcept { return on_; }
  bool is_finished() const noexcept { return finished_; }
  void leave(const char* verb) noexcept {
    on_.broken = true;
    if (on_.left == nullptr) on_.left = verb == nullptr ? "statement" : verb;
  }

 private:
  session& on_;
  bool finished_ = false;
};
using operation = basic_operation<>;

/// One that lasts longer than a statement, and has a name in error texts.
template <class = void>
class basic_named_operation : public operation {
 public:
  basic_named_operation(session& on, const char* verb) : operation(on), verb_(verb) { on.named = verb; }
  basic_named_operation(const basic_named_operation&) = delete;
  basic_named_operation& operator=(const basic_named_operation&) = delete;
  ~basic_named_operation() {
    on().named = nullptr;
    on().held = false;
    if (!is_finished()) leave(verb_);
  }
  /// From here on an object keeps it open.
  void hold() noexcept { on().held = true; }

 private:
  const char* verb_;
};
using named_operation = basic_named_operation<>;

/// One that lasts longer than the function that starts it, with its statement.
template <class = void>
class basic_statement_run : public named_operation {
 public:
  basic_statement_run(session& on, const char* verb, request asked) : named_operation(on, verb), what(std::move(asked)) {}
  const request what;
};
using statement_run = basic_statement_run<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
