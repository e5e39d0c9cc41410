// SPDX-License-Identifier: BSL-1.0
// tidepool - the rig on the PostgreSQL driver.
#include "watched_postgres.hpp"

#include "rig_code.hpp"
