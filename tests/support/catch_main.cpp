// SPDX-License-Identifier: BSL-1.0
// tidepool - the main function of the test programs.
#include <new>  // see catch.hpp

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }

#if defined(__SANITIZE_THREAD__)
// libstdc++ counts the references of an exception in a library that ThreadSanitizer did not build: to it, freeing an exception that
// another thread has looked at (a future that throws) is a race.
extern "C" const char* __tsan_default_suppressions() { return "race:std::__exception_ptr::exception_ptr::_M_release\n"; }
#endif
