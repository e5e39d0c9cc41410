// tidepool - getting rid of a statement that nobody wants to the end.
#ifndef TIDEPOOL_POSTGRES_DETAIL_DRAIN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_DRAIN_HPP

#include <algorithm>
#include <chrono>
#include <memory>

#include "../cancel.hpp"
#include "perform.hpp"

namespace tidepool::postgres::detail {

/// Waits until the socket can be read or `limit` is over, and lets libpq read.
inline asio::awaitable<void> receive_within(session_ptr s, duration limit) {
  if (!tls_pending(s->pg())) {
    std::weak_ptr<tidepool::detail::gate> either;
    real_timer timer(co_await asio::this_coro::executor);
    {
      const auto gate = std::make_shared<tidepool::detail::gate>();
      either = gate;
      timer.expires_after(limit);
      timer.async_wait([gate](error_code) { gate->open(); });
      s->socket().async_wait(wait_type::wait_read, [gate](error_code) { gate->open(); });
    }
    co_await tidepool::detail::gate::wait(either);
    s->socket().cancel();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      throw std::system_error(asio::error::make_error_code(asio::error::operation_aborted));
  }
  if (PQconsumeInput(s->pg()) == 0) throw s->lost("while receiving");
  s->take_notifications();
}

/// Cancels what runs and reads to its end. A request can be lost, when it comes before the server has begun; it is then sent
/// again. Each has returned before the next byte is read, so none can hit the next statement.
inline asio::awaitable<void> cancel_and_drain(session_ptr s) {
  const canceller stop = s->canceller();
  duration pause = std::chrono::milliseconds(50);
  (void)co_await stop.cancel();
  auto last = clock::now();
  for (;;) {
    while (PQisBusy(s->pg()) == 1) {
      co_await receive_within(s, pause);
      if (clock::now() - last < pause) continue;
      (void)co_await stop.cancel();
      last = clock::now();
      pause = std::min<duration>(pause * 4, std::chrono::seconds(1));
    }
    const result_handle got(PQgetResult(s->pg()));
    if (!got) break;
    const auto status = PQresultStatus(got.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) co_await refuse_copy(s);
  }
  if (PQstatus(s->pg()) != CONNECTION_OK) throw s->lost("");
  s->last_answer = clock::now();
}

}  // namespace tidepool::postgres::detail

#endif
