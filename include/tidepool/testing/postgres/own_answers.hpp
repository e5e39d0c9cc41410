// SPDX-License-Identifier: BSL-1.0
// tidepool - what a scripted server answers to the driver's and the pool's own statements.
#ifndef TIDEPOOL_TESTING_POSTGRES_OWN_ANSWERS_HPP
#define TIDEPOOL_TESTING_POSTGRES_OWN_ANSWERS_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "answer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// What the driver asks for itself: the begin of a session, a pool's checks and resets. Not part of any script; empty when it is none.
inline std::optional<answer_data> own_answer_to(std::string_view sql) {
  answer_data out;
  const auto one_row = [&out](std::vector<sql_value> values) {
    for (std::size_t i = 0; i < values.size(); ++i) out.columns.emplace_back("c" + std::to_string(i));
    out.rows.emplace_back(std::move(values));
    out.has_rows = true;
  };
  if (sql.starts_with("select pg_catalog.pg_is_in_recovery()")) {
    std::vector<sql_value> values(20, sql_value(nullptr));
    values[0] = "f";
    values[1] = "off";
    values[2] = "t";  // the process that answers is that of the login
    values[3] = "1";
    one_row(std::move(values));
    return out;
  }
  if (sql.starts_with("select pg_catalog.concat_ws(',', current_user,")) {
    one_row({sql_value("test,public")});
    return out;
  }
  if (sql.starts_with("select pg_catalog.set_config(")) {
    one_row(std::vector<sql_value>(1, sql_value("")));
    return out;
  }
  if (sql == "discard all" || sql == "set datestyle to iso" || sql.starts_with("close all; set session authorization default;") ||
      sql.starts_with("deallocate tidepool_") || sql.starts_with("deallocate \"tidepool_")) {
    return out;
  }
  return std::nullopt;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
