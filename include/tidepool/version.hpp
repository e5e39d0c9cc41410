// tidepool - the version of these headers; the build reads it from here.
#ifndef TIDEPOOL_VERSION_HPP
#define TIDEPOOL_VERSION_HPP

#define TIDEPOOL_VERSION_MAJOR 0
#define TIDEPOOL_VERSION_MINOR 1
#define TIDEPOOL_VERSION_PATCH 0

/// One number to compare: 10203 is 1.2.3.
#define TIDEPOOL_VERSION (TIDEPOOL_VERSION_MAJOR * 10000 + TIDEPOOL_VERSION_MINOR * 100 + TIDEPOOL_VERSION_PATCH)

#endif
