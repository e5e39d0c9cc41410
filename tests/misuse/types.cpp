// SPDX-License-Identifier: BSL-1.0
// tidepool - types without a codec, as parameters and in rows, and what the compiler says of them; see README.md.
#include <tidepool/postgres.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg = tidepool::postgres;
namespace shop {
class money {
 public:
  explicit money(int cents) : cents_(cents) {}

 private:
  int cents_;
};
struct order {
  int id;
  money price;
};
enum class mood { sad, happy };
}  // namespace shop

// misuse: a parameter without a codec
// says: this type cannot be a parameter, because it has no codec. Write one:
asio::awaitable<void> work(pg::connection& db, shop::money price) { co_await db.exec("insert into t values ($1)", 7, price); }

// misuse: a parameter without a codec, of one()
// says: this type cannot be a parameter, because it has no codec. Write one:
asio::awaitable<int> work(pg::connection& db, shop::money price) { co_return co_await db.one<int>("select $1", price); }

// misuse: a parameter without a codec, in a pipeline
// says: this type cannot be a parameter, because it has no codec. Write one:
void work(pg::pipeline& batch, shop::money price) { batch.exec("insert into t values ($1)", price); }

// misuse: a column of COPY without a codec
// says: this type cannot be a parameter, because it has no codec. Write one:
asio::awaitable<void> work(pg::copy_writer& out, shop::money price) { co_await out.row(7, price); }

// misuse: a vector of a type without a codec as a parameter
// says: this type cannot be a parameter, because it has no codec. Write one:
asio::awaitable<void> work(pg::connection& db, std::vector<shop::money> all) { co_await db.exec("insert into t values ($1)", all); }

// misuse: an enum without a codec as a parameter
// says: this type cannot be a parameter, because it has no codec. Write one:
asio::awaitable<void> work(pg::connection& db) { co_await db.exec("insert into t values ($1)", shop::mood::sad); }

// misuse: a column without a codec
// says: a column cannot be read into this type, because it has no codec that reads. Write one:
asio::awaitable<shop::money> work(pg::connection& db) { co_return co_await db.one<shop::money>("select price from t"); }

// misuse: a field without a codec
// says: a column cannot be read into this type, because it has no codec that reads. Write one:
shop::money work(const pg::result& rows) { return rows[0][0].as<shop::money>(); }

// misuse: a member of a row's struct without a codec
// says: a column cannot be read into this type, because it has no codec that reads. Write one:
asio::awaitable<std::vector<shop::order>> work(pg::connection& db) { co_return co_await db.all<shop::order>("select id, price from t"); }

// misuse: a column without a codec among the rows of a result
// says: a column cannot be read into this type, because it has no codec that reads. Write one:
void work(const pg::result& rows) {
  for (auto [id, price] : rows.rows<int, shop::money>()) (void)id;
}

// misuse: a column without a codec in a stream
// says: a column cannot be read into this type, because it has no codec that reads. Write one:
asio::awaitable<void> work(pg::connection& db) {
  auto rows = co_await db.stream<int, shop::money>("select id, price from t");
  (void)co_await rows.next();
}

// misuse: a vector of views as a column
// says: a column cannot be read into this type, because it has no codec that reads. Write one:
asio::awaitable<void> work(pg::connection& db) { (void)co_await db.one<std::vector<std::string_view>>("select names from t"); }

// misuse: a vector of char as a column
// says: a sequence of char or signed char is text, numbers or bytes, and only you know which
asio::awaitable<void> work(pg::connection& db) { (void)co_await db.one<std::vector<char>>("select v from t"); }

// misuse: a month as a parameter
// says: std::chrono::months and years are averages of no fixed length: use tidepool::postgres::interval
asio::awaitable<void> work(pg::connection& db) { co_await db.exec("select now() + $1", std::chrono::months(1)); }

// misuse: an enum whose codec has a name twice
// says: `names` has a name or a value twice, or an empty name
template <>
struct tidepool::postgres::codec<shop::mood> : tidepool::postgres::enum_codec<shop::mood> {
  static constexpr std::pair<shop::mood, std::string_view> names[] = {{shop::mood::sad, "sad"}, {shop::mood::happy, "sad"}};
};
asio::awaitable<void> work(pg::connection& db) { co_await db.exec("insert into t values ($1)", shop::mood::sad); }
