// SPDX-License-Identifier: BSL-1.0
// tidepool - what the precompiled header is made for.
#include "prelude.hpp"
