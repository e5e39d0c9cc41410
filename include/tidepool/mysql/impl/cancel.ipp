// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement is stopped from outside: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_CANCEL_IPP
#define TIDEPOOL_MYSQL_IMPL_CANCEL_IPP

#include <memory>
#include <utility>

#include "../../version.hpp"
#include "../cancel.hpp"
#include "../connection.hpp"
#include "../detail/kill.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

namespace detail {

template <class = void>
inline asio::awaitable<bool> cancel_from_here(std::shared_ptr<const cancel_target> whom) {
  if (!whom || whom->thread_id == 0) co_return false;
  kill_mark mark(whom->record);
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  co_return co_await kill_query(here, whom->settings, whom->where, whom->thread_id, std::move(mark), whom->settings->cancel_timeout);
}

}  // namespace detail

TIDEPOOL_LAZY_BODY asio::awaitable<bool> canceller::cancel() const { return detail::cancel_from_here(whom_); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
