#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/app.h"
#include "engine.h"
#include "mount_host.h"
#include "viewsh/layer.h"

namespace viewsh {

/// Stands for the engine: remembers what it was asked for and answers what a test has put here.
struct FakeEngine {
  ViewSpec spec;
  HostMountRequest host_mount;  ///< what mount-host was asked
  RunOptions run;
  int runs = 0;
  int exit_status = 0;
  std::string view_fault;  ///< what check_view finds
  std::vector<DoctorLine> doctor;
  std::vector<LayerInfo> layers;
  std::vector<SnapshotInfo> snapshots;
  VerifyReport verify;
  std::string snapshot_error;  ///< what taking, deleting and restoring fail with
  std::string asked_snapshot;  ///< what was asked of snapshots, in words
  std::vector<Change> changes;
  std::vector<std::string> conflicts;
  std::vector<std::string> asked_paths;
  CommitOptions commit;
  int commits = 0;
  std::vector<std::string> discarded;
  int transfers = 0;  ///< exports and imports
  std::string file;
  TransferOptions transfer;
  std::vector<std::string> notes;
  std::string fault;
  bool makes_layer = true;  ///< run_view leaves the layers of its mounts behind
  bool has_store = true;
};
FakeEngine& fake_engine();

/// What a run of the whole program gave.
struct Outcome {
  int status = 0;
  std::string out;
  std::string err;
};
Outcome run_words(const std::vector<std::string>& words);

/// A temporary directory as working directory and home, and a fresh fake engine, for each test.
class CliTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// Writes a file below the directory, with the directories above it; returns its absolute path.
  std::string write(const std::string& name, const std::string& text) const;
  const std::string& dir() const { return dir_; }

 private:
  std::string dir_;
};

}  // namespace viewsh
