#include "fake_engine.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace viewsh {
namespace {

class FakeStore : public LayerStore {
 public:
  Answer<std::vector<LayerInfo>> layers() override { return {fake_engine().layers, ""}; }
  Answer<std::vector<Change>> diff(const std::string&,
                                   const std::vector<std::string>& paths) override {
    fake_engine().asked_paths = paths;
    return {fake_engine().changes, ""};
  }
  Answer<CommitReport> commit(const std::string&, const std::vector<std::string>& paths,
                              const CommitOptions& options) override {
    FakeEngine& engine = fake_engine();
    ++engine.commits;
    engine.asked_paths = paths;
    engine.commit = options;
    CommitReport report;
    report.conflicts = engine.conflicts;
    if (engine.conflicts.empty() || options.force) report.applied = engine.changes;
    return {report, ""};
  }
  Answer<bool> discard(const std::string& layer, const std::vector<std::string>& paths) override {
    FakeEngine& engine = fake_engine();
    engine.discarded.push_back(layer);
    engine.asked_paths = paths;
    std::erase_if(engine.layers, [&](const LayerInfo& info) { return info.name == layer; });
    return {true, ""};
  }
  Answer<TransferReport> export_to(const std::string&, const std::string& file,
                                   const TransferOptions& options) override {
    return transfer(file, options);
  }
  Answer<TransferReport> import_from(const std::string& file, const std::string&,
                                     const TransferOptions& options) override {
    return transfer(file, options);
  }
  Answer<std::vector<SnapshotInfo>> snapshots(const std::string&) override {
    return {fake_engine().snapshots, ""};
  }
  Answer<SnapshotInfo> take_snapshot(const std::string& layer, const std::string& name) override {
    fake_engine().asked_snapshot = "take " + layer + " " + name;
    return {{name, 1, 2048, 3, ""}, fake_engine().snapshot_error};
  }
  Answer<bool> delete_snapshot(const std::string& layer, const std::string& name) override {
    fake_engine().asked_snapshot = "delete " + layer + " " + name;
    return {true, fake_engine().snapshot_error};
  }
  Answer<RestoreReport> restore(const std::string& layer, const std::string& name) override {
    fake_engine().asked_snapshot = "restore " + layer + " " + name;
    return {{"before-restore-x", {"a: note"}}, fake_engine().snapshot_error};
  }
  Answer<std::vector<Change>> diff_snapshot(const std::string& layer, const std::string& name,
                                            const std::vector<std::string>& paths) override {
    fake_engine().asked_snapshot = "diff " + layer + " " + name;
    return diff(layer, paths);
  }
  Answer<std::vector<Change>> diff_between(const std::string& layer, const std::string& from,
                                           const std::string& to,
                                           const std::vector<std::string>& paths) override {
    fake_engine().asked_snapshot = "between " + layer + " " + from + " " + to;
    return diff(layer, paths);
  }
  Answer<VerifyReport> verify(const std::string& layer, bool repair) override {
    fake_engine().asked_snapshot = (repair ? "repair " : "verify ") + layer;
    return {fake_engine().verify, ""};
  }

 private:
  static Answer<TransferReport> transfer(const std::string& file, const TransferOptions& options) {
    FakeEngine& engine = fake_engine();
    ++engine.transfers;
    engine.file = file;
    engine.transfer = options;
    engine.transfer.progress = nullptr;
    if (!options.progress({1, 2, 3, 4})) return {{}, "interrupted"};
    return {{.nodes = 2, .whiteouts = 1, .bytes = 2048, .notes = engine.notes}, engine.fault};
  }
};

}  // namespace

FakeEngine& fake_engine() {
  static FakeEngine engine;
  return engine;
}

int mount_host(const ViewSpec& spec, const HostMountRequest& mount) {
  fake_engine().spec = spec;
  fake_engine().host_mount = mount;
  return 0;
}

int run_view(const ViewSpec& spec, const RunOptions& options) {
  FakeEngine& engine = fake_engine();
  engine.spec = spec;
  engine.run = options;
  ++engine.runs;
  for (const MountSpec& mount : spec.mounts) {
    if (mount.layer.empty() || !engine.makes_layer) continue;
    LayerInfo info;
    info.name = mount.layer;
    engine.layers.push_back(info);
  }
  return engine.exit_status;
}

UserError resolve_in_view(const ViewSpec& spec, const std::vector<std::string>& paths,
                          std::vector<ResolvedPath>* out) {
  fake_engine().spec = spec;
  for (const std::string& path : paths) {
    ResolvedPath found;
    found.view_path = path;
    found.host = path;
    out->push_back(found);
  }
  return {};
}

UserError check_view(const ViewSpec& spec) {
  fake_engine().spec = spec;
  return {fake_engine().view_fault};
}

std::vector<PluginInfo> find_plugins() {
  PluginInfo plugin;
  plugin.name = "viewfs";
  plugin.abi = 1;
  return {plugin};
}

LayerStore* layer_store(UserError* error) {
  static FakeStore store;
  if (fake_engine().has_store) return &store;
  *error = {"no plugin keeps layers"};
  return nullptr;
}

std::vector<DoctorLine> examine_system() { return fake_engine().doctor; }

Outcome run_words(const std::vector<std::string>& words) {
  Outcome outcome;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  outcome.status = run_program(words);
  fflush(stderr);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

void CliTest::SetUp() {
  std::string pattern = std::filesystem::temp_directory_path() / "viewsh-cli-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  dir_ = std::filesystem::canonical(pattern);
  ASSERT_EQ(chdir(dir_.c_str()), 0);
  setenv("HOME", dir_.c_str(), 1);
  setenv("TERM", "dumb", 1);
  for (const char* name : {"XDG_CONFIG_HOME", "VIEWSH_PROFILE_PATH", "OVERLAY"}) unsetenv(name);
  fake_engine() = {};
}

void CliTest::TearDown() {
  if (chdir("/") == 0) std::filesystem::remove_all(dir_);
}

std::string CliTest::write(const std::string& name, const std::string& text) const {
  std::filesystem::path path = std::filesystem::path(dir_) / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
  return path;
}

}  // namespace viewsh
