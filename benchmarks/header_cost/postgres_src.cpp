// SPDX-License-Identifier: BSL-1.0
// tidepool - the one file that compiles the PostgreSQL driver, and its pool, for all others.
#include <tidepool/postgres/src.hpp>
