// SPDX-License-Identifier: BSL-1.0
// tidepool - how a row went, from the log of requests.
#include <algorithm>

#include "rig.hpp"

namespace tidepool_faults {
namespace {

double ms(clock::duration span) { return std::chrono::duration<double, std::milli>(span).count(); }

}  // namespace

verdict judge(const rig& watched, moment hit, moment cure) {
  verdict out;
  out.hit = hit;
  out.cure = cure;
  const auto first = watched.first_failure(hit);
  if (first != moment::max()) out.detect_ms = ms(first - hit);
  moment last_failure = cure;
  moment first_success = moment::max();
  for (const auto& r : watched.requests()) {
    if (r.ended < hit) continue;
    ++out.requests;
    if (r.how == ending::ok) {
      if (r.ended >= cure && r.ended < first_success) first_success = r.ended;
      continue;
    }
    ++out.failed;
    if (r.how != ending::no_lease) ++out.running;
    if (r.how == ending::wrong) ++out.wrong;
    if (out.first_failure.empty()) out.first_failure = r.why;
    if (r.how == ending::no_lease && out.first_refusal.empty()) out.first_refusal = r.why;
    last_failure = std::max(last_failure, r.ended);
  }
  if (first_success != moment::max()) out.recover_ms = ms(std::max(first_success, last_failure) - cure);
  out.latest_ms = std::max(0.0, static_cast<double>(watched.latest(hit).count()));
  out.gap_ms = static_cast<double>(watched.longest_gap(hit).count());
  return out;
}

}  // namespace tidepool_faults
