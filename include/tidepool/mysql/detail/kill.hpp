// SPDX-License-Identifier: BSL-1.0
// tidepool - stops a statement on the server: KILL QUERY, over a connection of its own.
#ifndef TIDEPOOL_MYSQL_DETAIL_KILL_HPP
#define TIDEPOOL_MYSQL_DETAIL_KILL_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "dial.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// A KILL QUERY that may still have an effect.
template <class = void>
class basic_kill_mark {
 public:
  explicit basic_kill_mark(std::shared_ptr<cancel_record> record) : record_(std::move(record)) { record_->in_flight.fetch_add(1); }
  basic_kill_mark(basic_kill_mark&&) noexcept = default;
  basic_kill_mark& operator=(basic_kill_mark&&) = delete;
  ~basic_kill_mark() {
    if (record_) record_->in_flight.fetch_sub(1);
  }

 private:
  std::shared_ptr<cancel_record> record_;
};
using kill_mark = basic_kill_mark<>;

/// What a canceller needs of its connection.
struct cancel_target {
  std::shared_ptr<const options> settings;
  target where;
  unsigned long thread_id;
  std::shared_ptr<cancel_record> record;
};

/// True when the server has done it; whether the statement was still running is not known. Throws only when the caller is cancelled.
template <class = void>
inline asio::awaitable<bool> kill_query(asio::any_io_executor executor, std::shared_ptr<const options> settings, target where,
                                        unsigned long thread_id, [[maybe_unused]] kill_mark mark, duration limit) {
  const auto until = later(clock::now(), limit);
  try {
    const auto as = co_await login::of(settings);
    auto s = co_await dial(executor, settings, as, where, std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)));
    s->all_within(std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)));
    const std::string text = "kill query " + std::to_string(thread_id);
    auto what = request::plain(text, "cancel()", std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)));
    // Its own limit must not be enforced by one more connection.
    deadline_guard guard(executor, what.limit, s->shutdown);
    what.limit = no_limit;
    co_await perform(s, std::move(what));
    co_return true;
  } catch (const error&) {
    co_return false;
  }
}

template <class>
inline void request_stop(session& s, stopping& stop, clock::time_point now) noexcept {
  stop.next_request = later(now, stop.pause);
  stop.pause = std::min<duration>(stop.pause * 4, std::chrono::milliseconds(800));
  if (s.cancels->in_flight.load() > 0 || s.thread_id == 0) return;
  try {
    kill_mark mark(s.cancels);
    asio::co_spawn(s.executor(),
                   kill_query(s.executor(), s.shared_settings(), s.where, s.thread_id, std::move(mark),
                              std::max<duration>(s.settings().cancel_timeout, std::chrono::milliseconds(1))),
                   [](std::exception_ptr, bool) {});
    stop.asked = true;
  } catch (...) {  // no memory: the next round tries again
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
