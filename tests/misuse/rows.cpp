// SPDX-License-Identifier: BSL-1.0
// tidepool - types that a row cannot be read into, and what the compiler says of them; see README.md.
#include <tidepool/postgres.hpp>

#include <memory>
#include <string>
#include <tuple>

namespace pg = tidepool::postgres;

// misuse: a row type has a member that is a view
// says: a string_view would point into a result that is gone: use std::string
struct order {
  int id;
  std::string_view note;
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select id, note from orders"); }
