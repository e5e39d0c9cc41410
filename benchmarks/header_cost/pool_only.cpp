// tidepool - the pool's headers, and no code.
#include <tidepool/pool.hpp>
