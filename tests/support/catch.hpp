// SPDX-License-Identifier: BSL-1.0
// tidepool - Catch2, version 2 or 3, under one include.
#ifndef TIDEPOOL_TESTS_CATCH_HPP
#define TIDEPOOL_TESTS_CATCH_HPP

#include <new>  // Catch2 2 uses it, and the newest libc++ does not bring it by another header
#include <string>

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_tostring.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <catch2/matchers/catch_matchers_vector.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

namespace tidepool_tests {

/// Matches a text that has `part` somewhere in it.
inline auto has_text(const std::string& part) {
#if __has_include(<catch2/catch_test_macros.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace tidepool_tests

#endif
