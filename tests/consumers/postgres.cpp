// SPDX-License-Identifier: BSL-1.0
// tidepool - the PostgreSQL driver links and knows its library.
#include <tidepool/postgres.hpp>

#include <libpq-fe.h>

#include <cstdio>

int main() {
  std::printf("libpq %d, a pooled connection of %zu bytes\n", PQlibVersion(), sizeof(tidepool::postgres::connection));
  return PQlibVersion() > 0 ? 0 : 1;
}
