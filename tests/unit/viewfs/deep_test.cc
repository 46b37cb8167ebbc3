// Paths longer than PATH_MAX, as they come about by chdir and *at calls.
#include <algorithm>

#include "cow_driver.h"
#include "host_ops.h"
#include "tmpfs.h"
#include "viewsh/long_path.h"

namespace viewsh::viewfs {
namespace {

/// A directory of the host of any depth, for a lower.
class DeepFs final : public PlainFs {
 public:
  explicit DeepFs(std::string root) : PlainFs(root), root_(std::move(root)) {}
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags,
                        const Caller&) override {
    Found found;
    found.host = host(join(base, rest));
    found.consumed = rest.size();
    const auto attr = host_ops::get_attr(found.host);
    if (attr) {
      found.exists = true;
      found.type = host_ops::type_of(*attr);
      return found;
    }
    if (attr.error() != Errno(ENOENT) || !host_ops::get_attr(host_ops::parent_of(found.host))) {
      return attr.error();
    }
    found.kind = Found::Kind::kMissing;
    return found;
  }
  Result<Attr> getattr(const std::string& path) override { return host_ops::get_attr(host(path)); }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    return host_ops::list_dir(host(path));
  }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    return std::shared_ptr<FileSystem>(std::make_shared<DeepFs>(host(path)));
  }

 private:
  std::string host(const std::string& path) const { return host_ops::join(root_, path); }
  std::string root_;
};

std::string content(const std::string& host) {
  UniqueFd fd(open(LongPath(host).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return strerror(errno);
  char text[64];
  const ssize_t n = read(fd.get(), text, sizeof text);
  return std::string(text, n > 0 ? static_cast<size_t>(n) : 0);
}

void put(const std::string& host, const std::string& text) {
  const LongPath path(host);
  ASSERT_EQ(open_and_write(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644, text), 0);
}

class DeepTest : public testing::Test {
 protected:
  DeepTest() : lower_(temp_.path() + "/lower"), host_(temp_.path()) {
    umask(022);
    EXPECT_EQ(mkdir(lower_.c_str(), 0755), 0);
    for (int i = 0; i < 60; ++i) deep_ = host_ops::join(deep_, std::string(200, 'd'));
    EXPECT_GT(deep_.size(), 10000u);
    for (size_t at = deep_.find('/');; at = deep_.find('/', at + 1)) {
      EXPECT_TRUE(host_ops::make_dir(in_lower(deep_.substr(0, at)), 0755, 0));
      if (at == std::string::npos) break;
    }
    for (const char* name : {"/old", "/gone", "/moves"}) put(in_lower(deep_ + name), name);
    EXPECT_TRUE(host_ops::make_dir(in_lower(deep_ + "/dir"), 0755, 0));
    put(in_lower(deep_ + "/dir/in"), "in");
    EXPECT_TRUE(host_ops::make_symlink(in_lower(deep_ + "/link"), "text"));
    store_ = make_layer_store(host_);
    open();
  }
  ~DeepTest() override {
    cow_.reset();
    EXPECT_TRUE(host_ops::remove_tree(lower_));
  }
  std::string in_lower(const std::string& path) const { return lower_ + "/" + path; }
  void open() {
    MountRequest request;
    request.type = "cow";
    request.at = "/";
    request.layer = "work";
    request.below = std::make_shared<DeepFs>(lower_);
    MountError error;
    cow_ = mount_cow(request, host_, &error);
    ASSERT_NE(cow_, nullptr) << error.text;
  }
  void write(const std::string& name, const std::string& text) {
    const std::string path = deep_ + name;
    const auto plan = cow_->plan_open(path, {O_WRONLY | O_CREAT | O_TRUNC, 0644}, caller_);
    ASSERT_TRUE(plan) << plan.error().message();
    const int rc = open_and_write(LongPath(plan->host).c_str(), plan->flags, plan->mode, text);
    EXPECT_EQ(rc, 0);
    if (plan->notify) cow_->opened(path, *plan, rc == 0);
  }
  std::string host_of(const std::string& name) {
    const auto found = cow_->resolve("", deep_ + name, {.follow_last = false}, caller_);
    return found && found->kind == Found::Kind::kNode ? found->host : std::string("-");
  }
  std::string names(const std::string& name) {
    auto entries = cow_->list(deep_ + name);
    if (!entries) return entries.error().message();
    std::sort(entries->begin(), entries->end(),
              [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    std::string out;
    for (const DirEntry& entry : *entries) out += entry.name + " ";
    return out;
  }
  /// Every kind of change, all at the deep end.
  void change() {
    const std::string d = deep_;
    write("/old", "new");
    write("/fresh", "fresh");
    EXPECT_TRUE(cow_->unlink(d + "/gone", caller_));
    EXPECT_TRUE(cow_->rename(d + "/moves", d + "/moved", 0, caller_));
    EXPECT_TRUE(cow_->rename(d + "/dir", d + "/dir2", 0, caller_));
    EXPECT_TRUE(cow_->mkdir(d + "/made", 0755, caller_));
    EXPECT_TRUE(cow_->mkdir(d + "/locked", 0500, caller_));
    EXPECT_TRUE(cow_->mknod(d + "/fifo", S_IFIFO | 0644, 0, caller_));
    EXPECT_TRUE(cow_->symlink(d + "/s", "target", caller_));
    EXPECT_TRUE(cow_->link(d + "/fresh", d + "/fresh2", caller_));
    EXPECT_TRUE(cow_->rename(d + "/s", d + "/fifo", RENAME_EXCHANGE, caller_));
    EXPECT_TRUE(cow_->rename(d + "/fresh2", d + "/made/f", RENAME_NOREPLACE, caller_));
    EXPECT_TRUE(cow_->link(d + "/link", d + "/link2", caller_));
    SetAttr set;
    set.mode = 0700;
    EXPECT_TRUE(cow_->setattr(d + "/dir2", set, caller_));
    set.mode = 0640;
    EXPECT_TRUE(cow_->setattr(d + "/moved", set, caller_));
    const auto xattr = cow_->setxattr(d + "/old", "user.test", "v", 0, caller_);
    EXPECT_TRUE(xattr || xattr.error() == EOPNOTSUPP);
  }

  TempDir temp_;
  std::string lower_;
  TestHost host_;
  std::string deep_;
  Caller caller_{.uid = getuid(), .gid = getgid(), .groups = {}, .umask = 022};
  std::unique_ptr<LayerStore> store_;
  std::shared_ptr<FileSystem> cow_;
};

TEST_F(DeepTest, EveryChangeIsSeen) {
  change();
  EXPECT_EQ(names(""), "dir2 fifo fresh link link2 locked made moved old s ");
  EXPECT_EQ(content(host_of("/old")), "new");
  EXPECT_EQ(content(host_of("/moved")), "/moves");
  EXPECT_EQ(content(host_of("/dir2/in")), "in");
  EXPECT_EQ(content(host_of("/made/f")), "fresh");
  EXPECT_EQ(host_of("/gone"), "-");
  EXPECT_EQ(*host_ops::read_link(host_of("/link2")), "text");
  const auto locked = cow_->getattr(deep_ + "/locked");
  ASSERT_TRUE(locked);
  EXPECT_EQ(locked->stx_mode & 0777, 0500);
  EXPECT_EQ(content(in_lower(deep_ + "/old")), "/old");
  // All of it is there again when the layer is opened.
  cow_.reset();
  open();
  EXPECT_EQ(names(""), "dir2 fifo fresh link link2 locked made moved old s ");
  for (const char* name : {"/fresh", "/made/f"}) {
    EXPECT_TRUE(cow_->unlink(deep_ + name, caller_)) << name;
  }
  EXPECT_TRUE(cow_->rmdir(deep_ + "/made", caller_));
  EXPECT_EQ(host_of("/made"), "-");
}

TEST_F(DeepTest, DiffAndCommit) {
  change();
  cow_.reset();
  const auto diff = store_->diff("work", {});
  ASSERT_EQ(diff.error, "");
  EXPECT_EQ(diff.value.size(), 11u);
  for (const Change& c : diff.value) EXPECT_EQ(c.path.rfind("/" + deep_ + "/", 0), 0u) << c.path;
  EXPECT_NE(store_->commit_script("work", {}, {}).error.find("too long for a script"),
            std::string::npos);
  const auto done = store_->commit("work", {}, {});
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.value.conflicts, std::vector<std::string>());
  EXPECT_EQ(content(in_lower(deep_ + "/old")), "new");
  EXPECT_EQ(content(in_lower(deep_ + "/moved")), "/moves");
  EXPECT_EQ(content(in_lower(deep_ + "/dir2/in")), "in");
  EXPECT_EQ(content(in_lower(deep_ + "/made/f")), "fresh");
  EXPECT_EQ(host_ops::get_attr(in_lower(deep_ + "/gone")).error(), Errno(ENOENT));
  EXPECT_EQ(host_ops::get_attr(in_lower(deep_ + "/dir")).error(), Errno(ENOENT));
  const auto link = host_ops::get_attr(in_lower(deep_ + "/fresh"));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->stx_nlink, 2u);
  const auto dir = host_ops::get_attr(in_lower(deep_ + "/dir2"));
  ASSERT_TRUE(dir);
  EXPECT_EQ(dir->stx_mode & 0777, 0700);
}

TEST_F(DeepTest, ANewTreeIsCommittedAndDiscarded) {
  std::string path = "new";
  for (int i = 0; i < 55; ++i) {
    ASSERT_TRUE(cow_->mkdir(path, 0755, caller_)) << i;
    path += "/" + std::string(190, 'n');
  }
  ASSERT_TRUE(cow_->mknod(path, S_IFREG | 0644, 0, caller_));
  cow_.reset();
  EXPECT_EQ(store_->commit("work", {"/new"}, {}).error, "");
  EXPECT_TRUE(host_ops::get_attr(in_lower(path)));
  open();
  ASSERT_TRUE(cow_->unlink(path, caller_));
  cow_.reset();
  EXPECT_EQ(store_->diff("work", {}).value.size(), 1u);
  EXPECT_EQ(store_->discard("work", {"/" + path}).error, "");
  EXPECT_EQ(store_->diff("work", {}).value.size(), 0u);
  EXPECT_EQ(store_->discard("work", {}).error, "");
  EXPECT_EQ(store_->layers().value.size(), 0u);
}

TEST(DeepTree, IsRemovedWithFewDescriptors) {
  TempDir temp;
  const std::string top = temp.path() + "/top";
  ASSERT_EQ(mkdir(top.c_str(), 0755), 0);
  UniqueFd at(open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0755), 0);
    ASSERT_EQ(mkdirat(at.get(), "e", 0), 0);
    at.reset(openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at);
  }
  at.reset();
  const auto done = host_ops::remove_tree(top);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_NE(access(top.c_str(), F_OK), 0);
}

TEST(PathAtTest, SaysWhatTheWaySays) {
  TempDir temp;
  const std::string name(250, 'n');
  std::string missing = temp.path();
  std::string file = temp.path() + "/file";
  write_file(file, "");
  for (int i = 0; i < 30; ++i) {
    missing += "/" + name;
    file += "/" + name;
  }
  EXPECT_EQ(host_ops::get_attr(missing).error(), Errno(ENOENT));
  EXPECT_EQ(host_ops::get_attr(file).error(), Errno(ENOTDIR));
  EXPECT_EQ(host_ops::make_dir(missing, 0755, 0).error(), Errno(ENOENT));
  EXPECT_EQ(host_ops::get_attr(std::string(10000, 'x')).error(), Errno(ENAMETOOLONG));
}

}  // namespace
}  // namespace viewsh::viewfs
