// SPDX-License-Identifier: BSL-1.0
// tidepool - what the driver says about an error of the server that a usual slip in the program has caused.
//
// They are recognised by the SQLSTATE and the server's routine, so in every language of the server.
#ifndef TIDEPOOL_POSTGRES_DETAIL_USUAL_SLIPS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_USUAL_SLIPS_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "error_text.hpp"
#include "request.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// "2 parameters were given, and the statement takes 1".
template <class = void>
inline std::string parameter_count_text(std::size_t given, std::size_t taken, std::string_view what) {
  const auto count = [](std::size_t n) { return n == 0 ? std::string("none") : std::to_string(n); };
  return (given == 0   ? "no parameter was"
          : given == 1 ? "1 parameter was"
                       : std::to_string(given) + " parameters were") +
         " given, and " + std::string(what) + " takes " + count(taken);
}

/// Words of the driver's own before those of the server, or advice in `said`; both may stay empty.
template <class = void>
inline std::string words_for(diagnosis& said, const request& asked, bool backslashes) {
  const auto& state = said.sqlstate;
  const auto sql = asked.sql();
  const auto given = asked.parameter_count();
  const bool extended = asked.kind() != request::verb::simple;
  const auto parameter_slip = [&]() -> std::string {
    const auto taken = highest_parameter(sql, backslashes);
    if (taken == given || (given == 0 && asked.kind() == request::verb::prepare)) {
      said.advice = "nothing tells its type, or nothing uses it: write it with a type, like $1::int4";
      return {};
    }
    if (taken == 0 && sql.find("$1") != std::string_view::npos) said.advice = "a $1 between quotes is text, not a parameter";
    return parameter_count_text(given, taken, "the statement");
  };
  if (said.routine == "exec_bind_message" && state == "08P01") {
    if (!asked.by_name()) return parameter_slip();
    return "the number of parameters given, " + std::to_string(given) + ", is not that of the prepared statement";
  }
  if (state == "42P18" && extended) return parameter_slip();
  if (state == "42601" && said.routine == "exec_parse_message") {
    said.advice = "use script() for several without parameters, a transaction or a pipeline for several with them";
    return "exec() and prepare() take one statement, and this text has several";
  }
  if (state == "42601" && extended && said.position > 0) {
    const auto mark = byte_of(sql, said.position);
    const auto rest = sql.substr(mark ? std::min(*mark, sql.size()) : sql.size());
    if (rest.size() > 1 && rest[0] == '$' && rest[1] >= '0' && rest[1] <= '9') {
      said.advice =
          "a parameter stands for a value in SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES, not for a name, nor in other "
          "commands (instead of SET: select set_config($1, $2, false))";
    } else if (given > 0 && highest_parameter(sql, backslashes) == 0) {
      said.advice = "parameters are written $1, $2, ...";
    }
  } else if (state == "42P02" && !extended) {
    said.advice = "script() and COPY take no parameters: use exec(sql, args...)";
  } else if (state == "25P02") {
    said.advice = "an earlier statement of this transaction failed, see its error: roll back; nested() around what may fail keeps the rest";
  } else if (state == "26000" && asked.by_name()) {
    said.advice = "a statement of prepare() is known to its own connection only, and there until DISCARD or reset_level::full";
  }
  return {};
}

/// For an error of the server: quotes the place in the statement; returns the words to begin with.
template <class = void>
inline std::string explain_slip(diagnosis& said, const request& asked, bool backslashes) {
  if (said.position > 0) said.excerpt = excerpt_of(asked.sql(), said.position, backslashes);
  return words_for(said, asked, backslashes);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
