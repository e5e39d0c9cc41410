// SPDX-License-Identifier: BSL-1.0
// tidepool - what makes of the program one that is linked with the shared objects.
struct user_functions;
struct maker_functions;
struct linked_modules {
  const user_functions* user;
  const maker_functions* maker;
};
extern "C" const user_functions* tidepool_test_user();
extern "C" const maker_functions* tidepool_test_maker();
linked_modules linked();
linked_modules linked() { return {tidepool_test_user(), tidepool_test_maker()}; }
