// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as a recording, with the checksum that fits. What is read is written as the same bytes, and can be
// put into calls, figures and JSON.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
//       -I include tests/fuzz/recording.cpp -o fuzz_recording
//   ./fuzz_recording -max_len=2048 -max_total_time=60 tests/fuzz/corpus/recording
#include <tidepool/recording.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace tidepool_fuzz {
namespace {
namespace recordings {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "recording: %s\n", what);
  std::abort();
}

void run(std::string bytes) {
  const std::uint32_t sum = tidepool::detail::crc_of(bytes);
  for (unsigned i = 0; i < 4; ++i) bytes += static_cast<char>(sum >> (8 * i) & 0xFFu);
  tidepool::recording read;
  try {
    read = tidepool::recording::from_bytes(bytes);
  } catch (const tidepool::recording_error& refused) {
    require(std::string_view(refused.what()).substr(0, 11) == "recording: ", "an error without its beginning");
    return;
  }
  require(tidepool::recording::from_bytes(read.to_bytes()) == read, "another one after writing");
  const auto calls = read.calls();
  const auto figures = read.figures();
  require(figures.calls <= calls.size() && figures.served <= figures.calls, "more calls counted than there are");
  require(!figures.text().empty(), "no words");
  for (const auto& call : calls) require(call.waited() >= call.waited().zero() && !read.place(call.place).empty(), "a call in disorder");
  const std::string lines = read.to_json_lines();
  std::size_t count = 0;
  for (const char c : lines) count += c == '\n';
  require(count == read.events.size() + 1, "not a line for each event");
  (void)read.open_at_begin();
}

}  // namespace recordings
}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tidepool_fuzz::recordings::run(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
