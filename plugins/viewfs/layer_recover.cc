#include "layer_recover.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "cow_host.h"
#include "layer.h"

namespace viewsh::viewfs {
namespace {

Result<bool> is_inode(int dir_fd, const std::string& path, uint64_t ino) {
  const auto attr = lstat_at(dir_fd, path);
  if (!attr && !says_gone(attr.error())) return attr.error();
  return attr && attr->stx_ino == ino;
}

/// What the change of a transaction moves is still where it was before.
Result<bool> is_before(const Transaction& transaction, int upper_fd, int work_fd) {
  const uint64_t ino = transaction.test.ino;
  bool made_dir = false;
  for (const Record& r : transaction.records) {
    made_dir = made_dir || (r.op == Record::Op::kNode && r.meta.type == NodeType::kDirectory);
    if (r.op != Record::Op::kMove && r.op != Record::Op::kSwap) continue;
    TRY_ASSIGN(const bool stays, is_inode(upper_fd, r.path, ino));
    return stays ? Result<bool>(true) : is_inode(upper_fd, r.to, ino);
  }
  // A file with a record doesn't go without a line that is on disk before.
  if (!made_dir) return true;
  UniqueFd copy(openat(work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* dir = copy ? fdopendir(copy.get()) : nullptr;
  if (dir == nullptr) return Errno::last();
  (void)copy.release();  // closedir() closes it
  Result<bool> found(false);
  errno = 0;
  for (; const dirent* entry = readdir(dir); errno = 0) {
    found = is_inode(work_fd, entry->d_name, ino);
    if (!found || *found) break;
  }
  if (found && !*found && errno != 0) found = Errno::last();
  closedir(dir);
  return found;
}

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

Result<bool> Layer::last_is_done() const {
  const HostTest& test = history_.back().test;
  const auto there = lstat_at(upper_fd(), test.path);
  if (!there && !says_gone(there.error())) return there.error();
  if (test.kind == HostTest::Kind::kGone) return !there;
  if (there && there->stx_ino == test.ino) return true;
  // After a power cut a later change without a line may be there: then the inode is nowhere.
  if (!interrupted_ || test.kind != HostTest::Kind::kIno) return false;
  TRY_ASSIGN(const bool before, is_before(history_.back(), upper_fd(), work_fd()));
  return !before;
}

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
