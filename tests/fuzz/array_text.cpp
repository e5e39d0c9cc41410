// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as the text of an array, and as elements of one. What is read and written again is the same.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
//       -I include -I "$(pg_config --includedir)" tests/fuzz/array_text.cpp -lpq -ldl -o fuzz_array_text
//   ./fuzz_array_text -max_len=256 -max_total_time=60 tests/fuzz/corpus/array_text
#include <tidepool/postgres.hpp>

#include "pieces.hpp"

namespace tidepool_fuzz {
namespace {
namespace array_text {

namespace pg = tidepool::postgres;
using text = std::optional<std::string>;

template <class T>
std::string written(const T& value) {
  std::string out;
  pg::codec<T>::encode(out, value);
  return out;
}
// Only the two errors the reader has; what it takes survives being written. Doubtful are arrays whose type is not known.
template <class T>
std::optional<T> read(std::string_view input, Oid type) {
  std::optional<T> got;
  try {
    got = pg::codec<T>::decode(input, type);
  } catch (const pg::error& failure) {
    const auto reason = failure.reason();
    require(reason == pg::errc::conversion || reason == pg::errc::null_value, "another error", input);
    require(std::string_view(failure.what()).size() < 300, "a long error", input);
    return got;
  }
  require(pg::codec<T>::decode(written(*got), type) == *got, "another array after writing", input);
  return got;
}
template <class T>
void write(const T& value, Oid type, std::string_view input) {
  require(pg::codec<T>::decode(written(value), type) == value, "another array after reading", input);
}

void run(std::string_view input) {
  constexpr Oid texts = 1009, boxes = 1020, numbers = 1007, bytes = 1001, chars = 1002;
  const auto flat = read<std::vector<text>>(input, texts);
  const auto nested = read<std::vector<std::vector<text>>>(input, texts);
  const auto bounded = read<pg::bounded_array<text, ','>>(input, texts);
  (void)read<pg::bounded_array<std::vector<std::vector<text>>>>(input, texts);
  (void)read<std::vector<int>>(input, numbers);
  (void)read<std::vector<std::vector<std::byte>>>(input, bytes);
  (void)read<std::vector<std::optional<std::array<unsigned char, 2>>>>(input, bytes);
  (void)read<std::vector<bool>>(input, 0);
  (void)read<pg::bounded_array<text, ';'>>(input, 0);
  (void)read<std::vector<std::chrono::year_month_day>>(input, 1182);
  try {
    (void)pg::codec<std::vector<text>>::decode(input, boxes);
    (void)pg::codec<std::vector<text>>::decode(input, 0);
    (void)pg::codec<std::vector<text>>::decode(input, 4451);
  } catch (const pg::error&) {
  }
  try {
    (void)pg::codec<std::vector<char>::value_type>::decode(input, 18);
    (void)pg::codec<std::vector<std::optional<char>>>::decode(input, chars);
  } catch (const pg::error&) {
  }
  // Bounds change nothing about the elements; one dimension is not two.
  require(flat.has_value() == bounded.has_value() && (!flat || *flat == bounded->values), "bounds matter", input);
  require(!flat || !nested || (flat->empty() && nested->empty()), "of one dimension and of two", input);

  const auto values = pieces(input);
  write(values, texts, input);
  write(pg::bounded_array<text, ';'>{values, values.empty() ? std::vector<int>() : std::vector<int>{-3}}, 0, input);
  std::vector<std::vector<text>> table;
  for (std::size_t i = 0; i + 3 <= values.size(); i += 3) table.push_back({values[i], values[i + 1], values[i + 2]});
  write(table, texts, input);
}

}  // namespace array_text
}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tidepool_fuzz::array_text::run(size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
