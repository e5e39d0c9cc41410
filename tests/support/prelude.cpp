// tidepool - what the precompiled header is made for.
#include "prelude.hpp"
