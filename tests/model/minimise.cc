// Delta debugging (ddmin, Zeller): a script that fails is cut as long as it goes on failing.
#include <algorithm>
#include <cstddef>
#include <cstdio>

#include "round.h"

namespace viewsh_model {
namespace {

/// The kind of a problem: what of it doesn't depend on names. Cutting must not lead to another one.
std::string kind_of(const std::string& problem) {
  std::string first = problem.substr(0, problem.find('\n'));
  if (!first.starts_with("  native: ")) return first.substr(0, first.find(" /"));
  const size_t start = std::string("  native: ").size();
  return first.substr(start, first.find(' ', start) - start);
}

Script without(const Script& script, size_t from, size_t count) {
  Script out(script.begin(), script.begin() + static_cast<ptrdiff_t>(from));
  const size_t rest = std::min(from + count, script.size());
  out.insert(out.end(), script.begin() + static_cast<ptrdiff_t>(rest), script.end());
  return out;
}

}  // namespace

Script minimise(const Round& round, Script script, const std::string& problem) {
  const std::string kind = kind_of(problem);
  size_t chunk = script.size() / 2;
  while (chunk > 0) {
    bool shorter = false;
    for (size_t from = 0; from < script.size();) {
      const Script candidate = without(script, from, chunk);
      const std::string now = compare(round, candidate);
      if (!now.empty() && kind_of(now) == kind) {
        script = candidate;
        shorter = true;
      } else {
        from += chunk;
      }
    }
    std::fprintf(stderr, "model: %zu operations left\n", script.size());
    if (chunk > 1) {
      chunk /= 2;
    } else if (!shorter) {
      break;
    }
  }
  return script;
}

}  // namespace viewsh_model
