// SPDX-License-Identifier: BSL-1.0
// tidepool - COPY: many rows into a table and out of it, with little memory. DATABASE_URL says where the server is.
#include <tidepool/postgres.hpp>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace postgres = tidepool::postgres;

struct reading {
  int sensor;
  double value;
  std::optional<std::string> remark;
};

asio::awaitable<void> copy_in_and_out(postgres::pool& pool) {
  auto lease = co_await pool.acquire();
  co_await lease->script("create temporary table readings (sensor int, value float8, remark text)");

  auto in = co_await lease->copy_in("copy readings from stdin");
  for (int i = 0; i < 100000; ++i) {
    const std::optional<std::string> remark = i % 1000 == 0 ? std::optional<std::string>("tab \t and line end \n") : std::nullopt;
    co_await in.row(i % 10, i / 8.0, remark);  // waits where the server is slower than this loop
  }
  const auto taken = co_await in.finish();  // until here nothing is in the table
  std::printf("%llu rows in\n", static_cast<unsigned long long>(taken));

  auto out = co_await lease->copy_out("copy (select * from readings where sensor = 0) to stdout");
  double sum = 0;
  int remarks = 0;
  for (;;) {
    const std::optional<reading> row = co_await out.row<reading>();
    if (!row) break;
    sum += row->value;
    if (row->remark) ++remarks;
  }
  std::printf("sum of sensor 0: %.1f, %d remarks\n", sum, remarks);
}

int main() try {
  asio::io_context io;
  postgres::pool pool(io, postgres::connector(std::getenv("DATABASE_URL")));
  tidepool::run(io, pool, copy_in_and_out);
} catch (const std::exception& error) {
  std::fprintf(stderr, "copy: %s\n", error.what());
  return 1;
}
