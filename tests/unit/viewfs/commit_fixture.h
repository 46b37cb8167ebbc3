#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <functional>

#include "commit_record.h"
#include "cow_driver.h"

namespace viewsh::viewfs {

/// A lower tree, a layer over it with changes of every kind, and what the view showed of them. In
/// memory where that can be: a commit waits for the disk several times.
class CommitCase {
 public:
  /// `in_place`: only what has to be written into lower files with names that the layer doesn't
  /// know.
  explicit CommitCase(bool in_place = false)
      : dir_(shared_memory()), lower_(dir_.path() + "/lower"), host_(dir_.path()) {
    umask(022);
    sh("mkdir " + lower_);
    make_lower(lower_ + "/v");
    sh("cd " + lower_ +
       "/v && mkdir -p locked/in sw1 sw2 gone/deep keep opq/x && echo l >locked/in/l && echo s1 "
       ">sw1/f && echo s2 >sw2/g && echo m >gone/deep/moved && echo d >gone/deep/dead && echo o "
       ">opq/x/y && truncate -s 1M sparse && printf end >>sparse && echo h >h1 && ln h1 h2 && ln "
       "h1 keep/h3 && echo q >q && echo type >type && mkdir kind && echo k >kind/k && chmod 555 "
       "locked/in && chmod 555 locked && find . -exec touch -h -d @1000000000 {} +");
    store_ = make_layer_store(host_);
    in_place ? change_in_place() : change();
  }
  ~CommitCase() { sh("chmod -R u+rwX " + dir_.path()); }

  std::string tree() const { return lower_ + "/v"; }
  /// Inodes and change times aside, everything about the lower.
  std::string print() const { return print_of(tree()); }
  static std::string print_of(const std::string& dir) {
    const std::string command = "cd " + dir +
                                " && find . -printf '%P|%y|%m|%n|%T@|%l|' \\( -type f -printf "
                                "'%s\\n' -o -printf '\\n' \\) | "
                                "sort; "
                                "find . -type f -perm -400 -exec cksum {} + | sort";
    FILE* pipe = popen(command.c_str(), "r");
    std::string out;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    pclose(pipe);
    return out;
  }
  /// What the view showed.
  const std::vector<std::string>& shown() const { return shown_; }
  std::vector<std::string> committed() const {
    NativeCalls native(tree());
    return describe(native);
  }
  std::string layer_dir() const { return host_.state_dir() + "/layers/work"; }
  LayerStore& store() { return *store_; }
  const TempDir& dir() const { return dir_; }

  /// Commits in a process of its own, which `progress` may end.
  int commit_in_child(const std::function<void(const char*, uint64_t)>& progress) {
    const pid_t pid = fork();
    if (pid == 0) {
      CommitOptions options;
      options.progress = [&](const char* phase, uint64_t done, uint64_t) { progress(phase, done); };
      const auto answer = store_->commit("work", {}, options);
      _exit(answer.ok() && answer.value.conflicts.empty() ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
  }

 private:
  static TempDir shared_memory() {
    if (access("/dev/shm", W_OK) != 0) return TempDir();
    const char* old = getenv("TMPDIR");
    const std::string keep = old != nullptr ? old : "/tmp";
    setenv("TMPDIR", "/dev/shm", 1);
    return Restore{keep}.dir();
  }
  struct Restore {
    std::string tmp;
    ~Restore() { setenv("TMPDIR", tmp.c_str(), 1); }
    TempDir dir() const { return TempDir(); }
  };

  void change_in_place() {
    CowCalls cow(cow_over(tree(), host_, "work"));
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    EXPECT_EQ(cow.write("h1", flags, 0, "all three names"), 0);
    EXPECT_EQ(cow.write("t", flags, 0, "all three names"), 0);
    EXPECT_EQ(cow.chmod("t", 0600), 0);
    EXPECT_EQ(cow.setxattr("t", "value"), 0);
    EXPECT_EQ(cow.chmod("q", 0640), 0);
    EXPECT_EQ(cow.unlink("type"), 0);
  }

  void change() {
    CowCalls cow(cow_over(tree(), host_, "work"));
    const auto put = [&](const std::string& path, const std::string& text) {
      EXPECT_EQ(cow.write(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, text), 0) << path;
    };
    put("a/1", "changed content");
    put("new", "x");
    EXPECT_EQ(cow.link("new", "a/new2"), 0);
    put("h1", "all three names");          // of which the layer knows one
    EXPECT_EQ(cow.chmod("f/x", 0700), 0);  // nothing but attributes
    EXPECT_EQ(cow.setxattr("f/x", "value"), 0);
    EXPECT_EQ(cow.rename("sw1", "sw2", RENAME_EXCHANGE), 0);
    put("sw1/more", "in what was sw2");
    EXPECT_EQ(cow.rename("gone/deep/moved", "d/moved", 0), 0);
    EXPECT_EQ(cow.unlink("gone/deep/dead"), 0);
    EXPECT_EQ(cow.rmdir("gone/deep"), 0);
    EXPECT_EQ(cow.rmdir("gone"), 0);
    EXPECT_EQ(cow.rename("a/b", "fresh", 0), 0);
    EXPECT_EQ(cow.rename("d/e", "fresh/c/e", 0), 0);
    EXPECT_EQ(cow.chmod("fresh/c", 0711), 0);
    EXPECT_EQ(cow.rename("d/fifo", "fresh/fifo", 0), 0);
    EXPECT_EQ(cow.mkfifo("d/fifo2"), 0);
    EXPECT_EQ(cow.unlink("type"), 0);
    EXPECT_EQ(cow.mkdir("type", 0750), 0);
    put("type/in", "t");
    EXPECT_EQ(cow.utimens("type", kOld + 7), 0);
    EXPECT_EQ(cow.unlink("kind/k"), 0);
    EXPECT_EQ(cow.rmdir("kind"), 0);
    EXPECT_EQ(cow.symlink("kind", "elsewhere"), 0);
    EXPECT_EQ(cow.unlink("opq/x/y"), 0);
    EXPECT_EQ(cow.rmdir("opq/x"), 0);
    EXPECT_EQ(cow.rmdir("opq"), 0);
    EXPECT_EQ(cow.mkdir("opq", 0755), 0);
    EXPECT_EQ(cow.mkdir("opq/y", 0755), 0);
    EXPECT_EQ(cow.rename("keep", "opq/y/keep", 0), 0);  // a lower directory in a new one
    put("opq/y/keep/inside", "i");
    put("secret", "s");
    EXPECT_EQ(cow.chmod("secret", 0), 0);
    EXPECT_EQ(cow.chmod("locked", 0755), 0);
    EXPECT_EQ(cow.chmod("locked/in", 0755), 0);
    put("locked/in/l", "unlocked for a while");
    EXPECT_EQ(cow.chmod("locked/in", 0555), 0);
    EXPECT_EQ(cow.chmod("locked", 0555), 0);
    put("q", "q");
    EXPECT_EQ(cow.utimens("q", kOld + 1), 0);
    EXPECT_EQ(cow.utimens("f", kOld + 2), 0);
    shown_ = describe(cow);
  }

  TempDir dir_;
  std::string lower_;
  TestHost host_;
  std::unique_ptr<LayerStore> store_;
  std::vector<std::string> shown_;
};

inline std::string differences(const std::vector<std::string>& got,
                               const std::vector<std::string>& expected) {
  std::string out;
  for (size_t i = 0; i < std::max(got.size(), expected.size()); ++i) {
    const std::string a = i < got.size() ? got[i] : "(nothing)";
    const std::string b = i < expected.size() ? expected[i] : "(nothing)";
    if (a != b && out.size() < 2000) out += "got:      " + a + "\nexpected: " + b + "\n";
  }
  return out;
}

}  // namespace viewsh::viewfs
