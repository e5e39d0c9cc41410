// tidepool - floor: the Asio headers, and no code.
#include "asio_headers.hpp"
