#pragma once

#include <memory>

#include "archive_index.h"
#include "archive_keep.h"
#include "image_lock.h"
#include "open_image.h"

namespace viewsh {

/// An archive or ISO as an image, by libarchive. Its headers are read once, when it is opened.
/// Contents come from where they stand, where they are there as they are; from a pass over one
/// entry, of zip; else by a pass that goes on from the last file that was wanted. Where passing
/// over something means unpacking it, it is kept for a while (ArchiveKeep).
///
/// An archive that is changed while it is open is not read any more: EIO.
class ArchiveImage final : public Image {
 public:
  ArchiveImage(std::shared_ptr<const ImageSource> source, std::unique_ptr<ArchiveIndex> index,
               std::function<Result<std::string>()> scratch, uint64_t keep_limit = kKeepLimit);

  std::string_view type() const override { return index_->type; }
  NodeId root() const override { return ArchiveTree::kRoot; }
  Result<NodeId> lookup(NodeId directory, std::string_view name) override;
  Result<Attr> getattr(NodeId node) override;
  Result<std::vector<DirEntry>> list(NodeId directory) override;
  Result<std::string> readlink(NodeId node) override;
  Result<void> extract(NodeId node, int to) override;
  Result<std::vector<std::string>> listxattr(NodeId node) override;
  Result<std::string> getxattr(NodeId node, const std::string& name) override;
  Result<struct statfs> statfs() override;

  const ArchiveIndex& index() const { return *index_; }
  /// There is something in it that takes long.
  bool is_slow() const;
  /// Whoever wants that lets others go on meanwhile. Not owned.
  void share(Suspension* suspension);
  /// How often the archive was read from its start. For tests.
  unsigned passes() const { return passes_; }

 private:
  static constexpr uint64_t kKeepLimit = uint64_t{1} << 30;
  static constexpr uint64_t kSlow = uint64_t{8} << 20;

  Result<void> extract_in_turn(NodeId id, const ArchiveNode& node, int to);
  Result<void> extract_alone(const ArchiveNode& node, int to);
  Result<void> extract_in_order(const ArchiveNode& node, int to);
  Result<void> advance(uint64_t ordinal);
  void keep_passed();

  std::shared_ptr<const ImageSource> source_;
  std::unique_ptr<ArchiveIndex> index_;
  ArchiveKeep keep_;
  std::unique_ptr<ArchiveReader> stream_;
  unsigned passes_ = 0;
  Pace pace_;
  std::unique_ptr<NodeLocks> turn_;  ///< of one: one content after the other
};

/// What libarchive reads, for image_formats().
ImageFormat archive_format();

}  // namespace viewsh
