#pragma once

#include <sys/stat.h>

#include <string>

namespace errno_cases {

/// The name of errno for a result below 0, else "ok".
std::string result_of(long rc);
void expect(const std::string& what, const std::string& want, long rc);
void expect_true(const std::string& what, bool holds);
/// open(2) and close(2).
long try_open(const std::string& path, int flags, mode_t mode = 0644);
/// lstat(2); all zero where there is nothing.
struct stat look(const std::string& path);

// cases.cc
void lookups();
void makers();
void opens();
void removals();
// cases_change.cc
void renames();
void attributes();

}  // namespace errno_cases
