// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: its input is a choice log of the simulator, one byte a decision.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address -I include tests/fuzz/choice_log.cpp -o fuzz_choice_log
//   ./fuzz_choice_log -max_len=4096 -max_total_time=60 tests/fuzz/corpus/choice_log
#include <cstdint>

#include "../simulator/explore.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidepool_sim;
  auto choices = choice_source::from_bytes(data, size);
  const outcome out = run_any(choices);
  if (out.failed) {
    std::fprintf(stderr, "%s: %s\n  TIDEPOOL_SIM_REPLAY='%s' tidepool_test_simulator '[replay]'\n", out.failed->rule.c_str(),
                 out.failed->text.c_str(), tidepool::testing::to_text(choices.values()).c_str());
    std::abort();
  }
  return 0;
}
