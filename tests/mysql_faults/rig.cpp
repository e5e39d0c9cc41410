// SPDX-License-Identifier: BSL-1.0
// tidepool - the rig on the MySQL driver.
#include "watched_mysql.hpp"

#include "../faults/rig_code.hpp"
