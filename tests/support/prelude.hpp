// SPDX-License-Identifier: BSL-1.0
// tidepool - precompiled for the test programs: the headers whose parsing outweighs every test.
#ifndef TIDEPOOL_TESTS_PRELUDE_HPP
#define TIDEPOOL_TESTS_PRELUDE_HPP

#include <tidepool/detail/util/asio.hpp>

#include "catch.hpp"

#endif
