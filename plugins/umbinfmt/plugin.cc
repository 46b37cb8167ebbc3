#include "viewsh/plugin.h"

#include "registry.h"

namespace viewsh {
namespace {

/// binfmt_misc of one view.
class BinfmtPlugin final : public Plugin {
 public:
  ExecFormats* exec_formats() override { return &registry_; }

 private:
  FormatRegistry registry_;
};

constexpr PluginEntry make_entry() {
  PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "umbinfmt";
  entry.version = "0.1.0";
  entry.description = "Interpreters by file name extension or magic bytes (binfmt_misc)";
  entry.provides = "exec:extension exec:magic";
  entry.create = [](Host*) -> Plugin* { return new BinfmtPlugin(); };
  return entry;
}

const PluginEntry kEntry = make_entry();

}  // namespace
}  // namespace viewsh

VIEWSH_PLUGIN(viewsh::kEntry)
