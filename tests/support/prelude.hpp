// SPDX-License-Identifier: BSL-1.0
// tidepool - the precompiled header of the test programs.
#ifndef TIDEPOOL_TESTS_PRELUDE_HPP
#define TIDEPOOL_TESTS_PRELUDE_HPP

#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include "asio.hpp"
#include "catch.hpp"
#include "on_end.hpp"

#endif
