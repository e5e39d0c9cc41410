// SPDX-License-Identifier: BSL-1.0
// tidepool - a pipeline: many statements in one round trip. DATABASE_URL says where the server is.
#include <tidepool/postgres.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace postgres = tidepool::postgres;

asio::awaitable<void> pipelines(postgres::pool& pool) {
  auto lease = co_await pool.acquire();
  co_await lease->script("create temporary table words (n int primary key, word text not null)");

  // All or nothing: one failure undoes all of it.
  auto batch = lease->pipeline(postgres::pipeline_mode::atomic);
  for (int n = 0; n < 1000; ++n) batch.exec("insert into words values ($1, $2)", n, "word " + std::to_string(n));
  auto count = batch.exec("select count(*) from words");
  const auto begin = std::chrono::steady_clock::now();
  co_await batch.run();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  std::printf("%d rows, one round trip, %.1f ms\n", count->one<int>(), took.count());

  // Each by itself: an answer has its own error.
  auto mixed = lease->pipeline(postgres::pipeline_mode::independent);
  std::vector<postgres::pipeline_result> answers;
  for (const int n : {7, 5000, 8}) answers.push_back(mixed.exec("select 1000 / (1000 - $1::int / 5)", n));
  co_await mixed.run();
  for (const auto& answer : answers) {
    try {
      std::printf("answer %d\n", answer->one<int>());
    } catch (const postgres::error& failure) {
      std::printf("no answer: %s\n", failure.what());
    }
  }
}

int main() try {
  asio::io_context io;
  postgres::pool pool(io, postgres::connector(std::getenv("DATABASE_URL")));
  tidepool::run(io, pool, pipelines);
} catch (const std::exception& error) {
  std::fprintf(stderr, "pipeline: %s\n", error.what());
  return 1;
}
