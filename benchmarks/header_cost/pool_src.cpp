// SPDX-License-Identifier: BSL-1.0
// tidepool - the one file that compiles the pool for all others.
#include <tidepool/src.hpp>
