#include <csignal>

#include "cli/interrupt.h"
#include "cli/transfer_text.h"
#include "fake_engine.h"

namespace viewsh {
namespace {

class TransferTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    LayerInfo info;
    info.name = "work";
    fake_engine().layers = {info};
  }
};

TEST_F(TransferTest, TheNameOrTheOptionSaysTheCompression) {
  const std::vector<std::pair<const char*, Compression>> names = {
      {"a.tar", Compression::kNone},  {"a.tar.gz", Compression::kGzip},
      {"a.tgz", Compression::kGzip},  {"a.tar.zst", Compression::kZstd},
      {"a.tzst", Compression::kZstd}, {".gz", Compression::kNone},
      {"zst", Compression::kNone},
  };
  for (const auto& [name, expected] : names) {
    EXPECT_EQ(run_words({"export", "work", name}).out,
              std::string("work: exported to ") + name + ": 2 files, 1 deletion, 2.0K\n");
    EXPECT_EQ(fake_engine().transfer.compression, expected) << name;
    EXPECT_EQ(fake_engine().file, name);
  }
  run_words({"export", "work", "a.tar.gz", "--compress", "none"});
  EXPECT_EQ(fake_engine().transfer.compression, Compression::kNone);
  EXPECT_EQ(run_words({"export", "work", "a", "--compress=lzma"}).err,
            "viewsh: --compress: lzma: must be zstd, gzip or none\n");
}

TEST_F(TransferTest, ADirectoryStandsInPlaceOfTheFile) {
  run_words({"export", "work", "--overlayfs", "dir"});
  EXPECT_TRUE(fake_engine().transfer.overlayfs);
  EXPECT_EQ(fake_engine().file, "dir");
  run_words({"import", "--overlayfs", "dir", "new"});
  EXPECT_TRUE(fake_engine().transfer.overlayfs);
  EXPECT_EQ(fake_engine().transfers, 2);
  EXPECT_EQ(run_words({"export", "work", "f", "--overlayfs", "d"}).status, 125);
  EXPECT_EQ(run_words({"import", "f", "new", "--overlayfs", "d"}).status, 125);
  EXPECT_EQ(run_words({"export", "work"}).status, 125);
  EXPECT_EQ(run_words({"import", "new"}).status, 125);
  EXPECT_EQ(fake_engine().transfers, 2);
}

TEST_F(TransferTest, ImportTakesTheMountPointAndTheRoot) {
  write("root/x", "");
  EXPECT_EQ(run_words({"import", "a.tar", "new", "--at", "/srv/../opt", "--root", "root"}).status,
            0);
  EXPECT_EQ(fake_engine().transfer.at, "/opt");
  EXPECT_EQ(fake_engine().transfer.root, dir() + "/root");
  EXPECT_EQ(run_words({"import", "a.tar", "new", "--root", "gone"}).err,
            "viewsh: --root: gone: No such file or directory\n");
}

TEST_F(TransferTest, LossesAreToldAndFailuresAreOneLine) {
  fake_engine().notes = {"/s\n: a socket, which an archive can't hold"};
  Outcome outcome = run_words({"export", "work", "a.tar"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "viewsh: /s\\n: a socket, which an archive can't hold\n");
  fake_engine().fault = "a.tar: ../x: a path with '..'";
  outcome = run_words({"import", "a.tar", "new"});
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(outcome.err, "viewsh: a.tar: ../x: a path with '..'\n");
}

TEST_F(TransferTest, ASignalStopsItAndIsTheStatus) {
  const Interrupt interrupt;
  raise(SIGINT);
  EXPECT_EQ(tell_transfer("x", {{}, "interrupted"}, false), 128 + SIGINT);
}

}  // namespace
}  // namespace viewsh
