#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layer_view.h"
#include "transfer.h"

namespace viewsh::viewfs {

/// Lower names, by view directory, that show a copied file although the layer has nothing of them:
/// other hard links of a file that was copied up.
struct LinkedNames {
  std::map<std::string, std::set<std::string>> names;
  std::set<std::string> dirs;  ///< those directories and all above
};
std::string find_linked_names(const LayerView& view, int lower_fd, TransferMeter* meter,
                              LinkedNames* out);

/// Hands what a layer changes to a sink, as nodes and marks over the lower tree. What was renamed
/// comes whole, under its new name. The order is that of the names' bytes: in each directory its
/// marks, then what is no directory, then the directories.
class LayerWalk {
 public:
  LayerWalk(LayerView* view, LayerSink* sink, TransferMeter* meter);
  std::string run();

 private:
  struct Dir {
    Node* node = nullptr;  ///< null: the layer knows nothing of it
    std::string path;
    bool has_lower = false;
    std::string lower;
    bool whole = false;   ///< all that the view has there goes, not just changes
    bool covers = false;  ///< and nothing of what the lower has by that name
  };
  struct Child {
    Node* node = nullptr;
    bool dir = false;
  };
  using Children = std::map<std::string, Child>;

  std::string visit(const Dir& dir, std::vector<Dir>* below);
  std::string emit_dir(const Dir& dir);
  std::string emit_marks(const Dir& dir);
  std::string children_of(const Dir& dir, Children* out);
  std::string add_lower(const Dir& dir, Children* out);
  Dir child_dir(const Dir& dir, const std::string& name, const Child& child) const;
  std::string emit_file(const Dir& dir, const std::string& name, const Child& child);
  std::string emit_from(int dir_fd, const std::string& name, const Meta* meta, bool ours,
                        TransferNode* out);
  std::string emit_content(int dir_fd, const std::string& name, bool ours,
                           const TransferNode& node);
  bool is_layer(const Attr& attr) const;
  std::string need_lower() const;

  LayerView& view_;
  LayerSink& sink_;
  TransferMeter& meter_;
  UniqueFd lower_;
  UniqueFd upper_dir_, lower_dir_;  ///< of the directory that is visited
  LinkedNames linked_;
  std::unordered_map<uint64_t, const Meta*> by_upper_ino_;
  std::map<std::pair<uint64_t, uint64_t>, std::string> first_names_;
  Attr layer_attr_{};
};

}  // namespace viewsh::viewfs
