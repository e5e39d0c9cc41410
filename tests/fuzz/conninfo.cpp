// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as a connection string. What libpq's parser makes of it, `options` makes of it as well.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
//       -I include -I "$(pg_config --includedir)" tests/fuzz/conninfo.cpp -lpq -ldl -o fuzz_conninfo
//   ./fuzz_conninfo -max_len=256 -max_total_time=60 tests/fuzz/corpus/conninfo
#include <tidepool/postgres.hpp>

#include <map>
#include <memory>

#include "pieces.hpp"

namespace tidepool_fuzz {
namespace {
namespace conninfo {

namespace pg = tidepool::postgres;
using values = std::map<std::string, std::string>;

// What libpq says; nothing where it refuses the text.
std::optional<values> by_libpq(const std::string& text) {
  char* complaint = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> list(PQconninfoParse(text.c_str(), &complaint), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> freed(complaint, &PQfreemem);
  if (!list) return std::nullopt;
  values out;
  for (const auto* o = list.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) out.emplace(o->keyword, o->val);
  }
  return out;
}
bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void run(std::string_view input) {
  const std::string text(input);
  // A service is a file to read.
  if (has(text, "service") || (text.starts_with("postgres") && has(text, "%"))) {
    const auto said = by_libpq(text);
    if (has(text, "service") || (said && said->contains("service"))) return;
  }
  std::optional<pg::options> ours;
  std::string complaint;
  try {
    ours.emplace(text);
    (void)ours->summary();
    (void)ours->endpoints();
    (void)ours->target();
  } catch (const pg::error& failure) {
    require(failure.reason() == pg::errc::bad_options, "another error", input);
    complaint = failure.explanation();
    ours.reset();
  }
  if (has(text, std::string_view("\0", 1))) {
    require(!ours, "a NUL byte is taken", input);
    return;
  }
  // This library's own rules: values it has to understand, and blanks in URIs, which versions of libpq see differently.
  const bool uri = text.starts_with("postgresql://") || text.starts_with("postgres://");
  if (uri && text.find_first_of(" \t\n\v\f\r") != std::string::npos) return;
  const auto libpq = by_libpq(text);
  if (!libpq) {
    require(!ours || has(text, "load_balance_hosts") || (uri && has(text, "%")), "libpq refuses it", input);
    return;
  }
  if (!ours) {
    for (const char* own : {"port", "host", "sslmode", "connect_timeout", "target_session_attrs", "load_balance_hosts"}) {
      if (complaint.starts_with(own)) return;
    }
    if (has(complaint, "has no value, and would take")) return;
    require(false, complaint.c_str(), input);
  }
  for (const auto& [key, value] : *libpq) {
    const auto got = ours->get(key);
    require(got == value || got == "***" || (value.empty() && got.empty()), key.c_str(), input);
  }
}

}  // namespace conninfo
}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tidepool_fuzz::conninfo::run(size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
