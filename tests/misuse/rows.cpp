// SPDX-License-Identifier: BSL-1.0
// tidepool - types that a row cannot be read into, and what the compiler says of them; see README.md.
#include <tidepool/postgres.hpp>

#include <memory>
#include <string>
#include <tuple>

namespace pg = tidepool::postgres;

// misuse: a row type has constructors
// says: a column cannot be read into this type
class order {
 public:
  order();
  int id;
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select id from orders"); }

// misuse: a row type has a member that is a reference
// says: cannot have a member that is a reference
struct order {
  int id;
  const std::string& note;
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select id, note from orders"); }

// misuse: a row type has too many members
// says: 1 to 16 members
struct order {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q;
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select * from orders"); }

// misuse: a row type has no members
// says: 1 to 16 members
struct order {};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select * from orders"); }

// misuse: a row type has a base class
// says: cannot have a base class
struct with_id {
  int id;
};
struct order : with_id {
  std::string note;
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select id, note from orders"); }

// misuse: a row type has a member that is an array
// says: cannot have a member that is a C array
struct order {
  int id;
  int parts[3];
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select id, parts from orders"); }

// misuse: a row is read into a reference
// says: a column cannot be read into this type
void use(const pg::row& one) { (void)one.as<int&>(); }

// misuse: a row type has a member that is a view
// says: a string_view would point into a result that is gone: use std::string
struct order {
  int id;
  std::string_view note;
};
asio::awaitable<void> use(pg::connection& db) { (void)co_await db.all<order>("select id, note from orders"); }
