// SPDX-License-Identifier: BSL-1.0
// tidepool - what a histogram is asked for, and how two are added.
#ifndef TIDEPOOL_IMPL_HISTOGRAM_IPP
#define TIDEPOOL_IMPL_HISTOGRAM_IPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../histogram.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

duration histogram::quantile(double q) const noexcept {
  if (count_ == 0) return duration::zero();
  const double share = std::clamp(q, 0.0, 1.0) * static_cast<double>(count_);
  auto rank = static_cast<std::uint64_t>(share);
  if (rank == 0 || static_cast<double>(rank) < share) ++rank;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return length((std::min)(upper(i), max_));
  }
  return (max)();
}

std::uint64_t histogram::at_most(duration bound) const noexcept {
  const std::size_t last = index(static_cast<std::uint64_t>(std::max<duration::rep>(bound.count(), 0)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i <= last; ++i) seen += buckets_[i];
  return seen;
}

histogram& histogram::operator+=(const histogram& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = (std::max)(max_, other.max_);
  return *this;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
