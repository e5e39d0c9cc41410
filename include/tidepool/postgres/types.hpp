// SPDX-License-Identifier: BSL-1.0
// tidepool - codecs that few programs need, all at once: composites, ranges, exact decimals, addresses, paths, std::variant.
#ifndef TIDEPOOL_POSTGRES_TYPES_HPP
#define TIDEPOOL_POSTGRES_TYPES_HPP

#include "types/composite.hpp"
#include "types/filesystem.hpp"
#include "types/inet.hpp"
#include "types/numeric.hpp"
#include "types/range.hpp"
#include "types/variant.hpp"

#endif
