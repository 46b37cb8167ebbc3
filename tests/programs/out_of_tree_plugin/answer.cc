// A file system type `answer` that cannot be mounted: enough to be found, loaded and asked.

#include "viewsh/plugin.h"

namespace {

class Answer : public viewsh::Plugin {
 public:
  std::vector<std::string> fs_types() const override { return {"answer"}; }
  std::shared_ptr<viewsh::FileSystem> mount(const viewsh::MountRequest& request,
                                            viewsh::MountError* error) override {
    *error = {viewsh::Errno(ENODEV), request.at + ": the answer is 42"};
    return nullptr;
  }
};

viewsh::Plugin* create(viewsh::Host*) { return new Answer; }

viewsh::PluginEntry make_entry() {
  viewsh::PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "answer";
  entry.version = "1.0";
  entry.description = "answers a question";
  entry.provides = "fs:answer";
  entry.create = create;
  return entry;
}

const viewsh::PluginEntry kEntry = make_entry();

}  // namespace

VIEWSH_PLUGIN(kEntry)
