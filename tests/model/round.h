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
/// The shortest script that ddmin finds which still differs in the same way.
Script minimise(const Round& round, Script script, const std::string& problem);

/// Several processes at once in one view: each in a directory of its own, compared with native
/// runs, or all in one, where only what must hold anyway is looked at.
std::string compare_many(const Round& round, size_t workers, bool shared);

}  // namespace viewsh_model
