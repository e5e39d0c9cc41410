// SPDX-License-Identifier: BSL-1.0
// tidepool - what makes of the program one that is linked with the shared object.
struct module_functions;
extern "C" const module_functions* tidepool_test_module();
const module_functions* linked_module();
const module_functions* linked_module() { return tidepool_test_module(); }
