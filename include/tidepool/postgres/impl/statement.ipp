// SPDX-License-Identifier: BSL-1.0
// tidepool - parameters that do not fit a prepared statement: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_STATEMENT_IPP
#define TIDEPOOL_POSTGRES_IMPL_STATEMENT_IPP

#include <cstddef>
#include <string>
#include <vector>

#include "../../version.hpp"
#include "../detail/types.hpp"
#include "../detail/usual_slips.hpp"
#include "../statement.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Whether values of two types have the same binary form: texts, and types that are an OID.
template <class = void>
inline bool same_binary_form(Oid given, Oid taken) noexcept {
  const auto in = [](Oid type, auto... all) { return ((type == static_cast<Oid>(all)) || ...); };
  const auto text = [&](Oid type) { return in(type, 19, 25, 114, 142, 1042, 1043); };
  const auto number = [&](Oid type) { return in(type, 23, 24, 26, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096); };
  return given == taken || (text(given) && text(taken)) || (number(given) && number(taken));
}

TIDEPOOL_LAZY_BODY void check_binary_type(const std::vector<Oid>& wanted, std::size_t at, Oid given) {
  const Oid taken = wanted[at];
  if (given >= type_oid::first_of_users || taken >= type_oid::first_of_users || same_binary_form(given, taken)) return;
  const std::string place = "$" + std::to_string(at + 1);
  throw error(errc::bad_parameter, "parameter " + place + " is of type " + type_name(given) + ", and the prepared statement takes " +
                                       type_name(taken) + " there: give it that, or prepare it with " + place + "::" + type_name(given));
}
TIDEPOOL_LAZY_BODY void refuse_count(std::size_t given, std::size_t taken) {
  throw error(errc::bad_parameter, parameter_count_text(given, taken, "the prepared statement") + ": nothing was sent");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
