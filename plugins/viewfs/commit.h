#pragma once

#include <string>
#include <vector>

#include "commit_record.h"
#include "layer_view.h"

namespace viewsh::viewfs {

/// Writes changes to the lower: all of them or none, see docs/layer-format.md. The layer itself and
/// its journal stay, also after an error that could not be taken back. Empty, or the error.
std::string apply_changes(LayerView* view, const Selection& selection,
                          const std::vector<NodeChange>& changes, const CommitOptions& options);
/// Why that can't be, as far as it shows without writing anything; empty: it can.
std::string why_not_applied(LayerView* view, const Selection& selection,
                            const std::vector<NodeChange>& changes);
/// A shell script that would do the same.
std::string script_of(LayerView* view, const Selection& selection,
                      const std::vector<NodeChange>& changes, std::string* error);

/// Goes on with a commit of which the preparation was complete, up to where the layer can lose what
/// was committed. `anew`: it can't be done as it was begun, but taken back and begun in another
/// way.
std::string finish_commit(LayerView* view, const CommitRecord& record, const CommitOptions& options,
                          bool* anew);
/// Takes back a commit that was not applied, and removes its journal.
std::string undo_commit(LayerView* view, const CommitRecord& record, const CommitOptions& options);

/// Takes back what can be of a commit whose journal is damaged, and keeps that under another name.
/// `left`: a line for each name, of the lower or the layer, that is left or couldn't be taken back.
/// `applied`: all of it was committed, nothing is taken back. Empty, or why the journal is there
/// still.
std::string salvage_commit(LayerView* view, bool* applied, std::vector<std::string>* left);
/// The names that such a commit has in the lower, a line each.
std::vector<std::string> names_of_commit(LayerView* view);

/// After a commit was taken back: the change times of what it renamed say nothing any more of what
/// others did. Where they did nothing, the layer forgets them. Empty, or the error.
std::string forget_own_changes(LayerView* view, const CommitRecord& record);

/// What the layer noted of the files of the lower that a selection changes. To be asked before they
/// leave the layer.
std::vector<LowerState> committed_states(LayerView* view, const Selection& selection);
/// After a part was committed: other names of the same files, which the layer had noted with the
/// same state, are noted with that of now. Their time of change and number of names are the
/// commit's doing.
void follow_commit(LayerView* view, const std::vector<LowerState>& committed);

/// Why what is selected can't go without something else of the layer; empty: it can.
std::string entangled(const LayerView& view, const Selection& selection);

/// Why what went with a directory can't be kept when that is meant; empty: nothing of it is to be.
std::string torn(const Selection& selection, const std::vector<NodeChange>& changes);

/// Takes what is not kept out of the layer: the lower shows again. `committed`: it is what
/// the layer had. Empty, or the error.
std::string drop_selected(LayerView* view, const Selection& selection, bool committed);

}  // namespace viewsh::viewfs
