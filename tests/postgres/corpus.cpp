// SPDX-License-Identifier: BSL-1.0
// tidepool - the corpora of the fuzz targets for the driver's parsers, without a fuzzer.
#define LLVMFuzzerTestOneInput tidepool_fuzz_array_text
#include "../fuzz/array_text.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput tidepool_fuzz_time_text
#include "../fuzz/time_text.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput tidepool_fuzz_copy_text
#include "../fuzz/copy_text.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput tidepool_fuzz_conninfo
#include "../fuzz/conninfo.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput tidepool_fuzz_value_text
#include "../fuzz/value_text.cpp"
#undef LLVMFuzzerTestOneInput

#include "../fuzz/corpus.hpp"
#include "kit.hpp"

TEST_CASE("given texts that a fuzzer found, when the driver's parsers read them, then no rule breaks", "[postgres][codec][fuzz]") {
  std::string current;
  CHECK(tidepool_tests::replay_corpus("array_text", current, tidepool_fuzz_array_text) > 5);
  CHECK(tidepool_tests::replay_corpus("time_text", current, tidepool_fuzz_time_text) > 5);
  CHECK(tidepool_tests::replay_corpus("value_text", current, tidepool_fuzz_value_text) > 5);
  CHECK(tidepool_tests::replay_corpus("copy_text", current, tidepool_fuzz_copy_text) > 3);
  CHECK(tidepool_tests::replay_corpus("conninfo", current, tidepool_fuzz_conninfo) > 5);
}
