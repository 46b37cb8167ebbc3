#pragma once

#include <string>

#include "options.h"
#include "wrappers.h"

namespace bench {

/// How large the inputs are.
struct Sizes {
  int tree_files = 8000;  ///< grep -r and rm -r
  int repo_files = 8500;  ///< git status and untar
  int dd_blocks = 4096;   ///< of 64 KiB
};
Sizes sizes_for(const Options& options);

/// The inputs, below Scratch::work; each is made once, when it is first needed, and made anew where
/// a run has changed it. All of them natively and untimed.
class Inputs {
 public:
  Inputs(const Scratch& scratch, const Options& options);

  void files_of_loops();
  void tree();                ///< work/tree: text files in directories of 50
  void fresh_tree();          ///< the same, complete again
  void repository();          ///< work/repo: a git work tree with nothing changed
  void touched_repository();  ///< work/touched: the same, all files newer than the index
  void archive();             ///< work/files.tar
  void empty_dir(const std::string& name);
  void zlib_source();      ///< work/zlib, not configured
  void zlib_configured();  ///< work/zlib, configured, nothing built

 private:
  bool once(const std::string& what);
  void make_files(const std::string& dir, int count);
  void copy(const std::string& from, const std::string& to);

  Scratch scratch_;
  Options options_;
  Sizes sizes_;
};

}  // namespace bench
