// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement of the multiplexer, and its answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_SHARED_STATEMENT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_SHARED_STATEMENT_HPP

#include <cstdint>
#include <exception>
#include <utility>

#include "../../../version.hpp"
#include "../../result.hpp"
#include "../request.hpp"
#include "../statement_cache.hpp"
#include "known_texts.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

struct shared_statement {
  shared_statement(request&& asked, known_texts& among) : what(std::move(asked)), texts(among), text(texts.enter(what)) {}
  shared_statement(const shared_statement&) = delete;
  shared_statement& operator=(const shared_statement&) = delete;
  ~shared_statement() {
    if (text != nullptr) texts.leave(*text);
  }

  request what;
  known_texts& texts;  ///< kept by the engine
  known_text* text;
  std::uint32_t sent_as = 0;  ///< the generation of its name, where it was sent by name
  statement_id sent_id;       ///< and that name
  bool by_text = false;       ///< what was prepared did not fit any more: it is sent with its text
  result got;
  /// Reads the rows of `got` as soon as it has come; true: it has them, and `got` is not needed until the Sync. libpq's object takes over 3
  /// kB, and each that is freed before the next is made costs the allocator a fraction of one that is kept.
  bool (*absorb)(shared_statement&) noexcept = nullptr;
  std::exception_ptr failure = {};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
