// SPDX-License-Identifier: BSL-1.0
// tidepool - floor: the Asio headers, and no code.
#include "asio_headers.hpp"
