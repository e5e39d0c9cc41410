// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of the driver are made: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_ERROR_IPP
#define TIDEPOOL_POSTGRES_IMPL_ERROR_IPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "../detail/error_text.hpp"
#include "../detail/held.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY error::error(errc code, std::string_view text) : error(code, text, postgres::detail::diagnosis{}) {}
TIDEPOOL_LAZY_BODY error::error(errc code, std::string_view text, postgres::detail::diagnosis said)
    : system_error(make_error_code(code)), said_(explain(code, text, std::move(said))) {}

TIDEPOOL_LAZY_BODY std::shared_ptr<const error::contents> error::explain(errc code, std::string_view text,
                                                                         postgres::detail::diagnosis&& said) {
  auto words = postgres::detail::error_text(text, said);
  if (words.empty()) words = make_error_code(code).message();
  const auto out = std::make_shared<contents>();
  static_cast<postgres::detail::diagnosis&>(*out) = std::move(said);
  out->text.append(prefix).append(words);
  return out;
}

TIDEPOOL_LAZY_BODY connect_error::connect_error(errc code, std::string_view text, postgres::detail::diagnosis said, bool permanent)
    : error(code, text, std::move(said)), kind_(permanent ? failure_kind::permanent : told()) {}
TIDEPOOL_LAZY_BODY connect_error::connect_error(errc code, std::string_view text, postgres::detail::diagnosis said, failure_kind kind)
    : error(code, text, std::move(said)), kind_(kind) {}

TIDEPOOL_LAZY_BODY failure_kind connect_error::told() const noexcept {
  const auto state = sqlstate();
  if (state == "53300" || state == "53400") return failure_kind::server_full;
  if (state == "08P01" && message().starts_with("no more connections allowed")) return failure_kind::server_full;
  if (state == "08P01" && message().starts_with("server login has been failing")) return failure_kind::refused;
  if (state == "57P01" || state == "57P02" || state == "57P03") return failure_kind::starting;
  const bool refused = state.substr(0, 2) == "28" || state == "3D000" || state == "42501";
  return refused || reason() == errc::bad_options || reason() == errc::tls_refused ? failure_kind::permanent : failure_kind::transient;
}

namespace detail {
TIDEPOOL_LAZY_BODY void refuse_moved_from() {
  throw error(errc::bad_usage, "this object was moved from: use the one that it was moved to");
}
}  // namespace detail

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
