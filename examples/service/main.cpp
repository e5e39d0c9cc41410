// SPDX-License-Identifier: BSL-1.0
// tidepool - an HTTP service on a pool of database connections, for each database that tidepool has a driver for. `examples/run.sh` shows
// it under load and with faults.
//
//   service [--database NAME] [--port N] [--threads N] [--connections N] [--multiplex]
//
// GET /pool is a live page about the pool, pool_page.hpp; with POOL_CONTROL_TOKEN in the environment it has verbs for an operator.
//
// The databases are in on_*.cpp; without a name the first one that was built. DATABASE_URL says where it is; for SQLite a file. Listens on
// 127.0.0.1; port 0, the default, is any free one. SIGTERM and SIGINT end it: it stops accepting, answers what is under way, closes the
// pool, and tidepool::run() returns. A second signal ends it at once.
#include <cstring>

#include "service.hpp"

namespace {

int usage() {
  std::string names;
  for (const database_kind* one : database_kind::all()) names += (names.empty() ? "" : "|") + one->name();
  std::fprintf(stderr, "usage: service [--database %s] [--port N] [--threads N] [--connections N] [--multiplex]\n", names.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) try {
  auto& known = database_kind::all();
  std::sort(known.begin(), known.end(), [](const auto* a, const auto* b) { return a->name() < b->name(); });
  const database_kind* database = known.empty() ? nullptr : known.front();
  settings how;
  if (const char* url = std::getenv("DATABASE_URL")) how.url = url;
  if (const char* token = std::getenv("POOL_CONTROL_TOKEN")) how.control_token = token;
  for (int i = 1; i < argc; ++i) {
    const char* const name = argv[i];
    if (!std::strcmp(name, "--multiplex")) {
      how.multiplex = true;
      continue;
    }
    if (++i == argc) return usage();
    const unsigned long number = std::strtoul(argv[i], nullptr, 10);
    if (!std::strcmp(name, "--database")) {
      const auto found = std::find_if(known.begin(), known.end(), [&](const auto* one) { return one->name() == argv[i]; });
      if (found == known.end()) return usage();
      database = *found;
    } else if (!std::strcmp(name, "--port")) {
      how.port = static_cast<unsigned short>(number);
    } else if (!std::strcmp(name, "--threads") && number > 0) {
      how.threads = number;
    } else if (!std::strcmp(name, "--connections") && number > 0) {
      how.connections = number;
    } else {
      return usage();
    }
  }
  if (database == nullptr) return usage();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  database->serve(how);
} catch (const std::exception& error) {
  std::fprintf(stderr, "service: %s\n", error.what());
  return 1;
}
