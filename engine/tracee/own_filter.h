#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace viewsh {

/// The seccomp filters that a program installed itself, newest first. Inherited by fork and clone,
/// kept over exec: seccomp(2). The kernel asks them again when the engine changed a call, so the
/// engine has to foresee what they say to the calls that it puts in the place of others.
struct OwnFilter {
  std::vector<sock_filter> program;
  std::shared_ptr<const OwnFilter> before;
};
using OwnFilters = std::shared_ptr<const OwnFilter>;

/// What a filter that the kernel has accepted says to a call: a SECCOMP_RET_* value.
uint32_t run_filter(const std::vector<sock_filter>& program, const seccomp_data& call);

/// Would all of them let the kernel run this call?
bool allowed_by(const OwnFilters& filters, const seccomp_data& call);

}  // namespace viewsh
