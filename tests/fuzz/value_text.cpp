// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as the text of a composite, a range, a decimal, an address, a wide integer, and as fields of them.
// What is read and written again is the same.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
//       -I include -I "$(pg_config --includedir)" tests/fuzz/value_text.cpp -lpq -ldl -o fuzz_value_text
//   ./fuzz_value_text -max_len=256 -max_total_time=60 tests/fuzz/corpus/value_text
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/types.hpp>

#include <variant>

#include "pieces.hpp"

namespace tidepool_fuzz {
namespace {
namespace value_text {

namespace pg = tidepool::postgres;
using text = std::optional<std::string>;

struct pair {
  text first, second;
  friend bool operator==(const pair&, const pair&) = default;
};
struct nested {
  pair inside;
  std::vector<std::optional<pair>> many;
  pg::range<std::string> span;
  friend bool operator==(const nested&, const nested&) = default;
};

template <class T>
std::string written(const T& value) {
  std::string out;
  pg::codec<T>::encode(out, value);
  return out;
}
// Only the two errors a reader has; what it takes survives being written.
template <class T>
void read(std::string_view input) {
  std::optional<T> got;
  try {
    got = pg::codec<T>::decode(input);
  } catch (const pg::error& failure) {
    const auto reason = failure.reason();
    require(reason == pg::errc::conversion || reason == pg::errc::null_value, "another error", input);
    require(std::string_view(failure.what()).size() < 300, "a long error", input);
    return;
  }
  require(pg::codec<T>::decode(written(*got)) == *got, "another value after writing", input);
}
template <class T>
void write(const T& value, std::string_view input) {
  require(pg::codec<T>::decode(written(value)) == value, "another value after reading", input);
}

void run(std::string_view input);

}  // namespace value_text
}  // namespace
}  // namespace tidepool_fuzz

template <>
struct tidepool::postgres::codec<tidepool_fuzz::value_text::pair> : tidepool::postgres::composite_codec<tidepool_fuzz::value_text::pair> {};
template <>
struct tidepool::postgres::codec<tidepool_fuzz::value_text::nested>
    : tidepool::postgres::composite_codec<tidepool_fuzz::value_text::nested> {};

namespace tidepool_fuzz {
namespace {
namespace value_text {

void run(std::string_view input) {
  read<pair>(input);
  read<nested>(input);
  read<pg::range<std::string>>(input);
  read<pg::range<int>>(input);
  read<pg::multirange<std::string>>(input);
  read<pg::multirange<std::chrono::sys_days>>(input);
  read<pg::numeric>(input);
  read<pg::inet>(input);
  read<asio::ip::address>(input);
  read<asio::ip::network_v6>(input);
  read<std::u8string>(input);
  read<std::array<text, 3>>(input);
  read<std::variant<std::monostate, std::string>>(input);
#if defined(__SIZEOF_INT128__)
  read<pg::detail::int128>(input);
  read<pg::detail::uint128>(input);
#endif
  try {
    const pg::numeric number(input);
    require(number == number && pg::codec<pg::numeric>::decode(number.text()) == number, "a decimal that is not itself", input);
    const bool whole = number.is_finite() && number.text().find_first_not_of("-0123456789") == std::string_view::npos;
    // Compared as an integer where it is one of few digits.
    if (whole && number.text().size() < 18) {
      const auto value = number.to_integer<std::int64_t>();
      require(pg::numeric(value) == number && pg::numeric(value + 1) > number && pg::numeric(value - 1) < number, "another order", input);
    }
  } catch (const pg::error& failure) {
    require(failure.reason() == pg::errc::bad_parameter, "another error in making", input);
  }

  auto values = pieces(input);
  values.resize(4);
  const pair flat{values[0], values[1]};
  write(flat, input);
  using span = pg::range<std::string>;
  const span bounds =
      values[2] && values[2]->size() == 1 ? span::nothing() : span{values[2], values[3], values[0].has_value(), values[1].has_value()};
  write(bounds, input);
  write(pg::multirange<std::string>{{span{values[2], values[3]}, span{values[0], values[1]}}}, input);
  write(nested{flat, {flat, std::nullopt, pair{values[3], values[2]}}, bounds}, input);
}

}  // namespace value_text
}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tidepool_fuzz::value_text::run(size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
