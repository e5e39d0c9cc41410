// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as a line of COPY, and as the columns of one. What is written is one line, and reads as the same.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
//       -I include -I "$(pg_config --includedir)" tests/fuzz/copy_text.cpp -lpq -ldl -o fuzz_copy_text
//   ./fuzz_copy_text -max_len=256 -max_total_time=60 tests/fuzz/corpus/copy_text
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/detail/copy_text.hpp>

#include "pieces.hpp"

namespace tidepool_fuzz {
namespace {
namespace copy_text {

namespace pg = tidepool::postgres;
using text = std::optional<std::string>;
using bytes = std::vector<std::byte>;

std::vector<text> columns(std::string_view line) {
  const pg::detail::copy_row row(line);
  std::vector<text> out;
  for (std::size_t i = 0; i < row.size(); ++i) out.push_back(row[i].as<text>());
  return out;
}
// Nothing where a column cannot be sent.
std::optional<std::string> line_of(const std::vector<text>& values) {
  std::string out;
  try {
    for (const auto& value : values) {
      if (!out.empty()) out += '\t';
      pg::detail::append_copy_column(out, value);
      if (out.empty() && values.size() > 1) return std::nullopt;  // an empty first column: the tab above would be missing
    }
  } catch (const pg::error&) {
    return std::nullopt;
  }
  return out + '\n';
}

void run(std::string_view input) {
  const auto got = columns(input);
  const auto again = line_of(got);
  require(!again || columns(*again) == got, "another row after writing", input);

  auto values = pieces(input);
  values.resize(3);
  const bool nul = std::any_of(values.begin(), values.end(), [](const text& v) { return v && v->find('\0') != std::string::npos; });
  const std::span<const std::byte> raw(reinterpret_cast<const std::byte*>(input.data()), input.size());
  const std::vector<text> list = values;
  std::string line;
  bool refused = false;
  try {
    pg::detail::append_copy_row(line, values[0], raw, values[1], values[2], list);
  } catch (const pg::error& failure) {
    require(failure.reason() == pg::errc::bad_parameter, "another error", input);
    refused = true;
  }
  require(refused == nul, "NUL bytes are refused, and nothing else", input);
  if (refused) return;
  require(line.find('\n') == line.size() - 1, "a line has one end", input);
  require(line.find('\r') == std::string::npos, "no return is sent as it is", input);
  require(line != "\\.\n", "the mark of the end", input);
  const pg::detail::copy_row row(line);
  require(row.size() == 5, "the number of columns", input);
  require(row[0].as<text>() == values[0] && row[2].as<text>() == values[1] && row[3].as<text>() == values[2], "another text", input);
  const auto back = row[1].as<bytes>();
  require(std::equal(back.begin(), back.end(), raw.begin(), raw.end()), "other bytes", input);
  using array = pg::bounded_array<text, ','>;
  require(row[4].as<array>().values == list, "another array", input);
}

}  // namespace copy_text
}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tidepool_fuzz::copy_text::run(size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
