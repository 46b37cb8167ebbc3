#include "inputs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>

namespace bench {
namespace {

constexpr int kPerDirectory = 50;

/// How large the files of a source tree are, in ten steps: those of Debian's /usr/include have a
/// median of 4.6 KB and a mean of 14 KB, and so have these.
uint32_t size_of(uint32_t seed) {
  static constexpr uint32_t kBytes[] = {500,   1'200, 2'000,  3'000,  4'200,
                                        5'200, 8'000, 13'000, 24'000, 79'000};
  return kBytes[seed * 7 % 10];
}

/// Text that is the same in every run: words from a small generator, a needle now and then.
std::string text_of(uint32_t seed) {
  static constexpr const char* kWords[] = {"view",  "mount", "layer", "walk", "lower", "upper",
                                           "stat",  "open",  "close", "read", "write", "link",
                                           "while", "for",   "if",    "else", "return"};
  constexpr uint32_t kCount = sizeof kWords / sizeof kWords[0];
  std::string text;
  uint32_t state = seed * 2654435761U + 1;
  const uint32_t bytes = size_of(seed);
  text.reserve(bytes + 16);
  for (uint32_t i = 0; text.size() < bytes; ++i) {
    state = state * 1664525U + 1013904223U;
    text += kWords[(state >> 16) % kCount];
    text += i % 12 == 11 ? '\n' : ' ';
  }
  if (seed % 40 == 7) text += "\nneedle\n";
  return text + "\n";
}

}  // namespace

Sizes sizes_for(const Options& options) {
  if (!options.quick) return {};
  return {400, 400, 256};
}

Inputs::Inputs(const Scratch& scratch, const Options& options)
    : scratch_(scratch), options_(options), sizes_(sizes_for(options)) {}

bool Inputs::once(const std::string& what) {
  const std::string mark = scratch_.top + "/made-" + what;
  if (access(mark.c_str(), F_OK) == 0) return false;
  write_file(mark, "");
  return true;
}

void Inputs::make_files(const std::string& dir, int count) {
  for (int i = 0; i < count; ++i) {
    const int sub = i / kPerDirectory;
    const std::string parent =
        dir + "/part" + std::to_string(sub / 10) + "/sub" + std::to_string(sub % 10);
    if (i % kPerDirectory == 0) std::filesystem::create_directories(parent);
    write_file(parent + "/file" + std::to_string(i) + ".c", text_of(static_cast<uint32_t>(i)));
  }
}

void Inputs::copy(const std::string& from, const std::string& to) {
  must_run({"rm", "-rf", to}, scratch_.top, scratch_.logs);
  must_run({"cp", "-a", from, to}, scratch_.top, scratch_.logs);
}

void Inputs::files_of_loops() {
  if (!once("loops")) return;
  std::filesystem::create_directories(scratch_.work + "/a/b/c");
  write_file(scratch_.work + "/a/b/c/file", std::string(4096, 'x'));
}

void Inputs::tree() {
  if (once("tree")) make_files(scratch_.work + "/tree", sizes_.tree_files);
}

void Inputs::fresh_tree() {
  tree();
  const std::string kept = scratch_.top + "/tree.tar";
  if (once("tree-archive")) {
    must_run({"tar", "-cf", kept, "tree"}, scratch_.work, scratch_.logs);
  }
  // A view on a copy-on-write root leaves the tree as it was.
  if (access((scratch_.work + "/tree").c_str(), F_OK) == 0) return;
  must_run({"tar", "-xf", kept}, scratch_.work, scratch_.logs);
}

void Inputs::repository() {
  if (!once("repository")) return;
  const std::string repo = scratch_.work + "/repo";
  make_files(repo, sizes_.repo_files);
  must_run({"git", "init", "-q"}, repo, scratch_.logs);
  must_run({"git", "config", "gc.auto", "0"}, repo, scratch_.logs);
  must_run({"git", "add", "-A"}, repo, scratch_.logs);
  must_run({"git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-qm",
            "all of it"},
           repo, scratch_.logs);
  sleep(2);  // entries as new as the index would be read again each time
  must_run({"git", "update-index", "-q", "--refresh"}, repo, scratch_.logs);
  must_run({"git", "status", "--porcelain"}, repo, scratch_.logs);
}

void Inputs::touched_repository() {
  repository();
  const std::string repo = scratch_.work + "/touched";
  if (once("touched")) copy(scratch_.work + "/repo", repo);
  must_run({"sh", "-c", "find . -name .git -prune -o -type f -exec touch {} +"}, repo,
           scratch_.logs);
}

void Inputs::archive() {
  if (!once("archive")) return;
  const std::string source = scratch_.top + "/packed";
  make_files(source, sizes_.repo_files);
  must_run({"tar", "-cf", scratch_.work + "/files.tar", "packed"}, scratch_.top, scratch_.logs);
  must_run({"rm", "-rf", source}, scratch_.top, scratch_.logs);
}

void Inputs::empty_dir(const std::string& name) {
  const std::string dir = scratch_.work + "/" + name;
  must_run({"rm", "-rf", dir}, scratch_.top, scratch_.logs);
  if (mkdir(dir.c_str(), 0755) != 0) die(dir + ": can't be made");
}

void Inputs::zlib_source() {
  const std::string kept = scratch_.top + "/zlib-source";
  if (once("zlib")) copy(options_.zlib, kept);
  copy(kept, scratch_.work + "/zlib");
}

void Inputs::zlib_configured() {
  const std::string kept = scratch_.top + "/zlib-configured";
  if (once("zlib-configured")) {
    zlib_source();
    must_run({"sh", "./configure"}, scratch_.work + "/zlib", scratch_.logs);
    copy(scratch_.work + "/zlib", kept);
  }
  copy(kept, scratch_.work + "/zlib");
}

}  // namespace bench
