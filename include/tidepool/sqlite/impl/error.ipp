// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of the driver are made: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_ERROR_IPP
#define TIDEPOOL_SQLITE_IMPL_ERROR_IPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"
#include "../detail/codes.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

TIDEPOOL_LAZY_BODY error::error(errc code, std::string_view text) : error(code, text, sqlite::detail::diagnosis{}) {}
TIDEPOOL_LAZY_BODY error::error(errc code, std::string_view text, sqlite::detail::diagnosis said)
    : system_error(make_error_code(code)), said_(explain(code, text, std::move(said))) {}

TIDEPOOL_LAZY_BODY std::shared_ptr<const error::contents> error::explain(errc code, std::string_view text,
                                                                         sqlite::detail::diagnosis&& said) {
  using tidepool::detail::printable;
  std::string words(text);
  if (!said.message.empty()) {
    if (!words.empty()) words += ": ";
    words += printable(said.message, 300);
  }
  if (said.code != 0) words += " (" + detail::code_text(said.code) + ")";
  if (!said.excerpt.empty()) words += ", at \"" + said.excerpt + "\"";
  if (!said.statement.empty()) words += "; statement: " + said.statement;
  if (said.called_from.line() != 0) {
    const std::string_view file = said.called_from.file_name();
    words += "; called from " + std::string(file.substr(file.find_last_of("/\\") + 1)) + ":" + std::to_string(said.called_from.line());
  }
  if (!said.advice.empty()) words += "; " + said.advice;
  if (words.empty()) words = make_error_code(code).message();
  const auto out = std::make_shared<contents>();
  static_cast<sqlite::detail::diagnosis&>(*out) = std::move(said);
  out->text.append(prefix).append(words);
  return out;
}

TIDEPOOL_LAZY_BODY sqlite::consequence error::consequence() const noexcept {
  switch (primary_code()) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return sqlite::consequence::all_suspect;
    case SQLITE_PERM:
    case SQLITE_AUTH: return sqlite::consequence::permanent;
    default: break;
  }
  if (sqlite_code() == SQLITE_READONLY_DBMOVED) return sqlite::consequence::all_suspect;
  if (reason() == errc::connect_failed || reason() == errc::bad_options) return sqlite::consequence::permanent;
  return connection_lost() ? sqlite::consequence::connection : sqlite::consequence::none;
}

TIDEPOOL_LAZY_BODY connect_error::connect_error(errc code, std::string_view text, sqlite::detail::diagnosis said, failure_kind kind)
    : error(code, text, std::move(said)), kind_(kind) {}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
