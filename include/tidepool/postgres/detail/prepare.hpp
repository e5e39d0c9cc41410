// SPDX-License-Identifier: BSL-1.0
// tidepool - prepares a statement on one connection, under a name of its own.
#ifndef TIDEPOOL_POSTGRES_DETAIL_PREPARE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_PREPARE_HPP

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../pipeline.hpp"
#include "../statement.hpp"
#include "execute.hpp"
#include "pipeline_entry.hpp"
#include "run_pipeline.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// `connection::prepare()`: under a name of its own, so that the same text may be prepared twice. The text's hash is part of the name, so
/// this name can only run this text. The types of its parameters are asked for in the same round trip.
template <class = void>
inline asio::awaitable<statement> prepare(session_ptr s, std::string sql, source_location from, duration limit) {
  if (!may_name(*s)) {
    throw error(
        errc::bad_usage,
        "a pooler is in between, which may give the next statement to a server process that has not prepared it: use exec(sql, ...), or, "
        "where it tracks prepared statements, set options.pooler_tracks_statements, and where each client keeps its server process, "
        "options.session_pooler");
  }
  const statement_id id(sql, {}, {}, {});
  std::string name = std::string(id.text().data()) + "_" + std::to_string(++s->statements_named);
  pipeline_entries both;
  both.push_back(std::make_shared<pipeline_entry>(request::prepare(name, query_text(sql, from))));
  both.push_back(std::make_shared<pipeline_entry>(request::describe(name)));
  const auto told = both.back();
  co_await run_pipeline(s, pipeline_mode::atomic, std::move(both), limit, "prepare()");
  const PGresult* const parameters = told->got->native();
  std::vector<Oid> types(static_cast<std::size_t>(PQnparams(parameters)));
  for (std::size_t i = 0; i < types.size(); ++i) types[i] = PQparamtype(parameters, static_cast<int>(i));
  if (s->settings().statement_in_errors) s->prepared_texts.insert_or_assign(name, statement_text(sql));
  co_return statement(std::move(name), std::move(types));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
