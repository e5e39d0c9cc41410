// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement of the multiplexer, and its answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_SHARED_STATEMENT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_SHARED_STATEMENT_HPP

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include "../../../version.hpp"
#include "../../result.hpp"
#include "../request.hpp"
#include "../statement_cache.hpp"
#include "known_texts.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

struct shared_statement {
  shared_statement(request asked, std::shared_ptr<known_texts> among)
      : what(std::move(asked)), texts(std::move(among)), text(texts->enter(what)) {}
  shared_statement(const shared_statement&) = delete;
  shared_statement& operator=(const shared_statement&) = delete;
  ~shared_statement() {
    if (text != nullptr) texts->leave(*text);
  }

  request what;
  std::shared_ptr<known_texts> texts;
  known_text* text;
  std::uint32_t sent_as = 0;  ///< the generation of its name, where it was sent by name
  statement_id sent_id;       ///< and that name
  bool by_text = false;       ///< what was prepared did not fit any more: it is sent with its text
  result got;
  std::exception_ptr failure = {};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
