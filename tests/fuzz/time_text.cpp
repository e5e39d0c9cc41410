// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as the text of a time, and any number as a time. What is read and written again is the same.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
//       -I include -I "$(pg_config --includedir)" tests/fuzz/time_text.cpp -lpq -ldl -o fuzz_time_text
//   ./fuzz_time_text -max_len=64 -max_total_time=60 tests/fuzz/corpus/time_text
#include <tidepool/postgres.hpp>

#include <cstring>

#include "pieces.hpp"

namespace tidepool_fuzz {
namespace {
namespace time_text {

namespace pg = tidepool::postgres;
using micros = std::chrono::microseconds;
using stamp = std::chrono::sys_time<micros>;
using wall = std::chrono::local_time<micros>;
using date = std::chrono::year_month_day;

template <class T>
std::optional<std::string> written(const T& value, std::string_view input) {
  std::string out;
  try {
    pg::codec<T>::encode(out, value);
  } catch (const pg::error& failure) {
    require(failure.reason() == pg::errc::bad_parameter, "another error in writing", input);
    return std::nullopt;
  }
  return out;
}
template <class T>
std::optional<T> read(std::string_view input) {
  std::optional<T> got;
  try {
    got = pg::codec<T>::decode(input);
  } catch (const pg::error& failure) {
    require(failure.reason() == pg::errc::conversion, "another error in reading", input);
    return got;
  }
  // A zone may move it out of the years that can be written.
  const auto again = written(*got, input);
  require(!again || pg::codec<T>::decode(*again) == *got, "another time after writing", input);
  return got;
}

template <class D>
void coarse(D count, std::string_view input) {
  using point = std::chrono::sys_time<D>;
  const auto text = written(point(count), input);
  if (!text || *text == "infinity" || *text == "-infinity") return;
  const auto exact = std::chrono::floor<micros>(count);
  require(pg::codec<stamp>::decode(*text) == stamp(exact), "another time in another unit", input);
  const auto span = written(count, input);
  require(span && pg::codec<micros>::decode(*span) == std::chrono::duration_cast<micros>(count), "another span in another unit", input);
}

void run(std::string_view input) {
  const auto at = read<stamp>(input);
  const auto local = read<wall>(input);
  const auto day = read<date>(input);
  (void)read<std::chrono::sys_seconds>(input);
  (void)read<std::chrono::local_time<std::chrono::nanoseconds>>(input);
  (void)read<std::chrono::sys_days>(input);
  const auto span = read<pg::interval>(input);
  const auto fixed = read<micros>(input);
  require(!fixed || (span && span->months == 0), "a fixed length with months", input);
  (void)read<std::chrono::hours>(input);
  (void)read<pg::time_of_day>(input);
  (void)read<pg::time_of_day_at_offset>(input);
  const bool infinite = input == "infinity" || input == "-infinity";
  require(infinite || !at || !local, "with a zone and without", input);
  require(!day || (!at && !local), "a date and more", input);
  require(!day || day->ok(), "not in the calendar", input);

  if (input.size() < sizeof(std::int64_t)) return;
  std::int64_t number = 0;
  std::memcpy(&number, input.data(), sizeof number);
  const stamp any{micros(number)};
  const auto text = written(any, input);
  if (text) {
    require(pg::codec<stamp>::decode(*text) == any, "another time after reading", input);
    const auto same = written(wall(any.time_since_epoch()), input);
    const std::size_t zone = text->starts_with("infinity") || text->starts_with("-infinity") ? 0 : 3;
    require(same && same->size() + zone == text->size(), "the zone is not all that differs", input);
  }
  constexpr auto first = std::chrono::days(-2'440'588);
  require(text || any.time_since_epoch() < first, "within the server's years and refused", input);
  // The same count in other units: what is sent is the same time, or refused.
  coarse(std::chrono::nanoseconds(number), input);
  coarse(std::chrono::seconds(number), input);
  coarse(std::chrono::duration<std::int64_t, std::ratio<1, 50>>(number), input);
  const auto days = written(std::chrono::sys_days(std::chrono::days(number)), input);
  require(!days || pg::codec<std::chrono::sys_days>::decode(*days) == std::chrono::sys_days(std::chrono::days(number)), "another day",
          input);
  const pg::interval fields{static_cast<std::int32_t>(number), static_cast<std::int32_t>(number >> 32), micros(number)};
  require(pg::codec<pg::interval>::decode(*written(fields, input)) == fields, "another interval after reading", input);
}

}  // namespace time_text
}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tidepool_fuzz::time_text::run(size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
