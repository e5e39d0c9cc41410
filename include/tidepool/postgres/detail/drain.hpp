// tidepool - getting rid of a statement that nobody wants to the end.
#ifndef TIDEPOOL_POSTGRES_DETAIL_DRAIN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_DRAIN_HPP

#include <memory>

#include "../cancel.hpp"
#include "perform.hpp"

namespace tidepool::postgres::detail {

/// Reads results until the statement is over, whatever they are.
inline asio::awaitable<void> drain(session_ptr s) {
  for (;;) {
    const result_handle got = co_await next_result(s);
    if (!got) break;
    const auto status = PQresultStatus(got.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) co_await refuse_copy(s);
  }
  if (PQstatus(s->pg()) != CONNECTION_OK) throw s->lost("");
  s->last_answer = clock::now();
}

/// Cancels what runs and reads to its end. The cancel has returned before the last byte counts, so it cannot hit the next
/// statement; one that was lost, or refused, costs only the reading.
inline asio::awaitable<void> cancel_and_drain(session_ptr s) {
  const canceller stop(own_cancel(PQgetCancel(s->pg())), s->settings().cancel_timeout);
  const bool taken = co_await stop.cancel();
  co_await drain(s);
  // A request that did not come back in time may still be under way.
  if (!taken) s->broken = true;
}

}  // namespace tidepool::postgres::detail

#endif
