// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool's headers, and no code.
#include <tidepool/pool.hpp>
