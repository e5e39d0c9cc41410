// SPDX-License-Identifier: BSL-1.0
// tidepool - the corpus of the fuzz target for configurations, without a fuzzer.
#define LLVMFuzzerTestOneInput tidepool_fuzz_config
#include "../fuzz/config.cpp"
#undef LLVMFuzzerTestOneInput

#include "../fuzz/corpus.hpp"
#include "../support/catch.hpp"

TEST_CASE("given a fuzzer's configurations, when pools are made of them, then validation tells which work") {
  std::string current;
  const std::size_t files = tidepool_tests::replay_corpus("config", current, tidepool_fuzz_config);
  CHECK(files > 20);
}
