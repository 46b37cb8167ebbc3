#include "layer_recover.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

/// A container that isn't there any more, or not yet. Where it can't be made, the record goes.
void make_container(const Node* node, int upper_fd, const LowerLook& lower) {
  const std::string path = Index::path_of(node);
  const auto from = lower(Index::lower_path_of(node));
  if (!from || !S_ISDIR(from->stx_mode)) return;
  const PathAt at(upper_fd, path);
  if (mkdirat(at.dir(), at.name(), 0700) == 0) (void)copy_attr(upper_fd, path, *from, S_IRWXU);
}

void adopt(Index* index, Node* node, int upper_fd, const LowerLook& lower) {
  if (node->state != Node::State::kUpper || node->meta || node->hidden) return;
  if (node->parent == nullptr || !node->parent->merged()) return;
  const std::string path = Index::path_of(node);
  const auto below = lower(Index::lower_path_of(node));
  const auto here = lstat_at(upper_fd, path);
  if (!below || !here) return;
  if (auto meta = lost_record(node, *here, *below)) {
    meta->upper_ino = here->stx_ino;
    index->apply(Record::node(path, std::move(*meta)));
  }
}

}  // namespace

std::optional<Meta> lost_record(const Node* node, const Attr& here, const Attr& below) {
  // The lower got the name later: a conflict that commit tells of, nothing is lost.
  const bool known = (below.stx_mask & here.stx_mask & STATX_BTIME) != 0;
  if (!known || file_time(below.stx_btime) >= file_time(here.stx_btime)) return {};
  Meta meta;
  meta.type = node->type;
  meta.origin = lower_state(below);
  if (node->is_dir() && S_ISDIR(below.stx_mode)) meta.kind = Meta::Kind::kMerged;
  return meta;
}

Result<void> recover_interrupted(Index* index, int upper_fd, const LowerLook& lower) {
  index->each([&](Node* node) {
    struct stat st {};
    if (!node->merged() || node->parent == nullptr) return;
    const PathAt at(upper_fd, Index::path_of(node));
    if (fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
      make_container(node, upper_fd, lower);
    }
  });
  index->verify(upper_fd);
  Result<void> loaded;
  // Loading adds children, which each() then visits too.
  index->each([&](Node* node) {
    adopt(index, node, upper_fd, lower);
    if (node->is_dir() && loaded) loaded = index->load(node, Index::path_of(node), upper_fd);
  });
  return loaded;
}

}  // namespace viewsh::viewfs
