#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cow_index.h"
#include "layer.h"
#include "transfer.h"
#include "transfer_tree.h"

namespace viewsh::viewfs {

/// Makes a layer of the nodes that it is given, over what the lower tree is now. Trusts no path:
/// one that would leave the layer, or go through a link, is refused.
class LayerBuilder final : public LayerSink {
 public:
  /// `layer`: new and empty.
  LayerBuilder(Layer* layer, TransferMeter* meter);
  ~LayerBuilder() override;
  /// Opens the lower tree. Empty, or what is wrong with it.
  std::string start();
  std::string node(const TransferNode& node, Content* content) override;
  std::string whiteout(const std::string& path) override;
  std::string opaque(const std::string& path) override;
  /// Attributes of directories and the log.
  std::string finish() override;

 private:
  /// A name that was told of.
  struct Item {
    Item* parent = nullptr;
    std::string name;
    bool present = false;
    bool whiteout = false;
    bool opaque = false;
    bool merged = false;  ///< finish(): a directory that the lower's is merged with
    TreeMaker::Kept kept;
    std::unique_ptr<TransferNode> node;  ///< of what is present and was told; without data
    NodeType type = NodeType::kUnknown;
    std::map<std::string, std::unique_ptr<Item>, std::less<>> children;
    bool is_dir() const { return present && type == NodeType::kDirectory; }
  };
  static std::string path_of(const Item& item);
  Item* make_child(Item* dir, std::string_view name);
  /// The directory at a path, made where nobody told of it.
  Item* dir_for(std::string_view path, std::string* error);
  std::string imply_dir(Item* item, const std::string& path);
  std::string add_dir(const TransferNode& node);
  std::string find_link(const TransferNode& node, const Item** target) const;

  // transfer_log.cc
  /// Parents before what is in them.
  std::vector<Item*> in_order();
  std::string hide_root_names();
  std::string decide(Item* item, const std::string& path);
  void record_dir(const Item& item, const std::string& path, const Attr* lower);
  void record_file(const Item& item, const std::string& path, const Attr* lower);
  void record_hide(const std::string& path, const Attr& lower);
  void record_linked();
  Attr lower_or_default(const std::string& path, bool merged) const;

  Layer& layer_;
  TransferMeter& meter_;
  TreeMaker tree_;
  UniqueFd lower_;
  std::unique_ptr<Item> root_;
  Transaction state_;
  std::map<std::pair<uint64_t, uint64_t>, Record> linked_;
};

}  // namespace viewsh::viewfs
