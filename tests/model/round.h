#pragma once

#include <cstdint>
#include <string>

#include "config.h"
#include "generate.h"
#include "op.h"

namespace viewsh_model {

/// One script, natively and in a view.
struct Round {
  const Config* config = nullptr;
  uint32_t seed = 1;
  size_t ops = 300;
  bool discard = false;  ///< the layer is thrown away at the end, not committed
  std::vector<std::string> without;
};

/// Draws a script of the length by running it natively.
Script draw_script(const Round& round);
/// "" where native run and view are the same in everything, else what differs.
std::string compare(const Round& round, const Script& script);
/// The first line that isn't the same natively and in the view: if it can be by a documented limit,
/// its operation gets to know what the view said, for the next native run.
void note_limit(const std::string& native_log, const std::string& view_log, Script* script);
/// The operations that know.
size_t count_limits(const Script& script);
/// The shortest script that ddmin finds which still differs in the same way.
Script minimise(const Round& round, Script script, const std::string& problem);

/// Several processes at once in one view: each in a directory of its own, compared with native
/// runs (but for documented limits, as in compare()), or all in one, where only what must hold
/// anyway is looked at.
std::string compare_many(const Round& round, size_t workers, bool shared);

}  // namespace viewsh_model
