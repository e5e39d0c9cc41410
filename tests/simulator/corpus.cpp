// SPDX-License-Identifier: BSL-1.0
// tidepool - the corpora of the fuzz targets for configurations and recordings, without a fuzzer.
#define LLVMFuzzerTestOneInput tidepool_fuzz_config
#include "../fuzz/config.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput tidepool_fuzz_recording
#include "../fuzz/recording.cpp"
#undef LLVMFuzzerTestOneInput

#include "../fuzz/corpus.hpp"
#include "../support/catch.hpp"

TEST_CASE("given a fuzzer's configurations, when pools are made of them, then validation tells which work") {
  std::string current;
  const std::size_t files = tidepool_tests::replay_corpus("config", current, tidepool_fuzz_config);
  CHECK(files > 20);
}

TEST_CASE("given bytes that a fuzzer found, when they are read as recordings, then no rule breaks") {
  std::string current;
  CHECK(tidepool_tests::replay_corpus("recording", current, tidepool_fuzz_recording) > 10);
}
