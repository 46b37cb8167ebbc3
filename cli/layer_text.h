#pragma once

#include <string>
#include <vector>

#include "engine.h"
#include "viewsh/layer.h"

namespace viewsh {

/// The layer with this name. The error of one that isn't there guesses at the name that was meant.
UserError find_layer(LayerStore* store, const std::string& name, LayerInfo* info);
/// The same without looking into any layer, which takes time.
UserError known_layer(LayerStore* store, const std::string& name);
/// What commit did or, with dry_run, would do; conflicts go to standard error. Returns the status
/// to exit with: 1 after conflicts.
int tell_commit(const std::string& layer, const CommitReport& report, bool dry_run, bool json);
/// Applies a layer (or paths of it) and tells it.
int commit_layer(LayerStore* store, const std::string& layer, const std::vector<std::string>& paths,
                 const CommitOptions& options, bool json);

}  // namespace viewsh
