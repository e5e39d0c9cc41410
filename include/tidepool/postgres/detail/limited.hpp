// SPDX-License-Identifier: BSL-1.0
// tidepool - a time limit for a call that is more than one statement.
#ifndef TIDEPOOL_POSTGRES_DETAIL_LIMITED_HPP
#define TIDEPOOL_POSTGRES_DETAIL_LIMITED_HPP

#include <exception>
#include <string>
#include <utility>

#include "../../detail/shell/timed_work.hpp"
#include "../../version.hpp"
#include "waiting.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Runs `work`; when `limit` is over it is cancelled as by its caller, and the error is `response_timeout`, or `server_silent` where the
/// server did not react to that.
template <class T>
asio::awaitable<T> limited(session_ptr s, const char* verb, duration limit, asio::awaitable<T> work) {
  const auto end = co_await tidepool::detail::run_timed<real_timer>(limit, std::move(work));
  if (end->timed_out()) {
    const std::string text = std::string(verb) + " was not done within " + in_words(limit) + ": cancelled, ";
    if (s->broken) throw error(errc::server_silent, text + "and the connection was shut, because " + s->server_name() + " did not answer");
    throw error(errc::response_timeout, text + "the connection is kept");
  }
  if (end->failure) std::rethrow_exception(end->failure);
  if constexpr (!std::is_void_v<T>) co_return std::move(*end->value);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
