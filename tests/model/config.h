#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "op.h"

namespace viewsh_model {

/// A kind of view that a script is run in.
struct Config {
  std::string name;
  const char* what;
  bool empty = false;  ///< the view's tree starts empty: making it is a part of the script
  bool layer = false;  ///< has the named layer `work`, which later views go on with
  bool commit =
      false;  ///< that layer can be committed, and the working tree then is the native one
  bool memory = false;   ///< the working tree is on the host's tmpfs
  bool by_path = false;  ///< the kernel walks to where a relative path begins, too
  bool through = false;  ///< what may be written is written really, so that all may be
  bool merged = false;   ///< link counts of directories say nothing, as in other unions
  bool image = false;    ///< it is a file system in a file, which later views go on with
  bool served = false;   ///< it is another directory as a FUSE server of the view shows it
};

const std::vector<Config>& configs();
const Config& config_named(const std::string& name);

/// The directories of a run, all below one that is removed at the end.
class Layout {
 public:
  explicit Layout(const Config& config);
  ~Layout();
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  const std::string& work() const { return work_; }
  std::string at(const std::string& name) const { return base_ + "/" + name; }
  /// A name for a file that isn't there yet.
  std::string fresh(const std::string& stem) { return at(stem + std::to_string(++count_)); }

 private:
  std::string base_;
  std::string memory_;
  std::string work_;
  int count_ = 0;
};

/// `viewsh run` with the mounts of the configuration, up to `--`.
std::vector<std::string> view_command(const Config& config, const Layout& layout, size_t phase);
/// Makes what the view stands on.
void prepare(const Config& config, Layout& layout, uint32_t seed);
void clear(const Config& config, const Layout& layout);
/// Everything that the view must not write to, to the last bit. Empty where it may.
std::string lower_state(const Config& config, const Layout& layout);
/// What e2fsck(8) finds in the image that the view worked in. Empty: nothing, or there is none.
std::string image_faults(const Config& config, Layout& layout);
/// Where what was done in the view must be found afterwards; empty: nowhere.
std::string result_dir(const Config& config, const Layout& layout);

/// Runs a script below a directory, natively; what it printed.
std::string run_natively(Layout& layout, const std::string& root, const Script& script);
void make_tree(Layout& layout, const std::string& root, uint32_t seed);

}  // namespace viewsh_model
