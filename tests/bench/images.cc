#include "images.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <vector>

#include "inputs.h"
#include "inside.h"
#include "report.h"

namespace bench {
namespace {

constexpr const char* kDebugfs = "/usr/sbin/debugfs";

/// A line of the table. `command` and `loop` are run in the mounted file system.
struct Line {
  const char* title;
  bool iso;
  Argv command;
  std::string loop;    ///< else one of run_loop()
  std::string dir;     ///< where it runs
  bool again = false;  ///< run once before, untimed
  bool whole = false;  ///< mount and umount count
  Argv bulk = {};      ///< what unpacks the same where nothing can be mounted
};

/// Three ways to the same files.
struct Figures {
  std::vector<double> native;
  std::vector<double> view;
  std::vector<double> peer;
  std::vector<double> to_native;  ///< of the view
  std::vector<double> to_peer;
  std::string error;
};

class Images {
 public:
  Images(const std::string& viewsh, const std::string& self, const Scratch& scratch,
         const Options& options, PeerMounts* peers)
      : viewsh_(viewsh), self_(self), scratch_(scratch), options_(options), peers_(*peers) {}

  std::string measure() {
    make_inputs();
    std::string table = "| | native, s | view, s | " + peer_name() +
                        ", s | view : native | view : " + peer_name() +
                        " |\n|---|---|---|---|---|---|\n";
    for (const Line& line : lines()) {
      Figures figures;
      for (int round = 0; round < options_.rounds && !interrupted(); ++round) {
        measure_round(line, &figures);
      }
      table += row(line, figures);
    }
    return table + (why_no_peer_.empty() ? "" : "\nNothing was mounted: " + why_no_peer_ + "\n");
  }

 private:
  std::string ext() const { return scratch_.work + "/ext.img"; }
  std::string empty_ext() const { return scratch_.work + "/empty.img"; }
  std::string iso() const { return scratch_.work + "/tree.iso"; }
  std::string source() const { return scratch_.work + "/source"; }
  std::string peer_name() const { return why_no_peer_.empty() ? "FUSE" : "bulk"; }

  std::vector<Line> lines() const {
    const Argv find = {"find", ".", "-type", "f", "-size", "+100k"};
    const Argv out = {"sh", "-c", "tar -cf - . | cat"};
    const Argv untar = {"tar", "-xf", scratch_.work + "/files.tar"};
    const Argv dump = {kDebugfs, "-R", "rdump /tree " + scratch_.work + "/dumped", ext()};
    const Argv unpack = {"bsdtar", "-xf", iso(), "-C", scratch_.work + "/dumped"};
    return {
        {"ext4: find", false, find, "", "tree"},
        {"ext4: find again", false, find, "", "tree", true},
        {"ext4: tar out of", false, out, "", "tree", false, false, dump},
        {"ext4: untar into", false, untar, "", "new"},
        {"ext4: the same, mount and umount included", false, untar, "", "new", false, true},
        {"ext4: cached re-read of a large file", false, {}, "reread", "."},
        {"ext4: mmap of a cached file", false, {}, "mmap", "."},
        {"ISO: find", true, find, "", "tree"},
        {"ISO: find again", true, find, "", "tree", true},
        {"ISO: tar out of", true, out, "", "tree", false, false, unpack},
        {"ISO: cached re-read of a large file", true, {}, "reread", "."},
        {"ISO: mmap of a cached file", true, {}, "mmap", "."},
    };
  }

  void must(const Argv& argv) const { must_run(argv, scratch_.work, scratch_.logs); }

  void make_inputs() {
    Inputs inputs(scratch_, options_);
    inputs.tree();
    inputs.archive();
    const std::string mebibytes = options_.quick ? "16" : "256";
    must({"mkdir", "-p", source(), scratch_.work + "/at", scratch_.work + "/dumped"});
    must({"mv", scratch_.work + "/tree", source() + "/tree"});
    must({"mkdir", source() + "/new"});
    must({"dd", "if=/dev/urandom", "of=" + source() + "/large", "bs=1M", "count=" + mebibytes,
          "status=none"});
    const std::string owner =
        "root_owner=" + std::to_string(getuid()) + ":" + std::to_string(getgid());
    must({"mke2fs", "-q", "-F", "-t", "ext4", "-E", owner, "-d", source(), ext(), "2G"});
    must({"genisoimage", "-quiet", "-R", "-o", iso(), source()});
    // One try tells whether anything can be mounted at all.
    for (const bool iso_image : {true, false}) {
      if (!why_no_peer_.empty()) break;
      why_no_peer_ = peers_.mount(server(iso_image), at());
      if (why_no_peer_.empty()) peers_.umount(at());
    }
  }

  std::string at() const { return scratch_.work + "/at"; }
  Argv server(bool iso_image) const {
    Argv argv =
        iso_image ? Argv{"fuseiso", "-n", iso(), at(), "-f"} : Argv{"fuse2fs", ext(), at(), "-f"};
    // What root mounts is for root alone otherwise.
    if (peers_.root()) argv.insert(argv.end(), {"-o", "allow_other"});
    return argv;
  }

  /// Nanoseconds of the command, as it says itself, or of the whole.
  std::optional<double> time_run(const Line& line, const Argv& prefix, const std::string& top,
                                 std::string* error) const {
    Argv argv = prefix;
    argv.push_back(self_);
    const std::string dir = top + "/" + line.dir;
    if (!line.loop.empty()) {
      argv.insert(argv.end(), {"--loop", line.loop, "5", dir});
    } else {
      argv.insert(argv.end(), {line.again ? "--again" : "--inside", dir, scratch_.work + "/out",
                               "1", "0", "--"});
      argv.insert(argv.end(), line.command.begin(), line.command.end());
    }
    const int64_t start = now_ns();
    const Finished done = run(argv, scratch_.top, scratch_.logs, options_.limit_s);
    const auto figure = parse_figure(done.out);
    if (done.ok() && figure) return line.whole ? static_cast<double>(now_ns() - start) : *figure;
    *error = done.ok() ? "no figure printed" : done.why();
    return std::nullopt;
  }

  std::optional<double> in_peer(const Line& line, std::string* error) {
    if (!why_no_peer_.empty()) return in_bulk(line, error);
    const int64_t start = now_ns();
    *error = peers_.mount(server(line.iso), at());
    if (!error->empty()) return std::nullopt;
    auto ns = time_run(line, {}, at(), error);
    const std::string why = peers_.umount(at());
    if (ns && line.whole) ns = static_cast<double>(now_ns() - start);
    if (why.empty()) return ns;
    *error = why;
    return std::nullopt;
  }

  std::optional<double> in_bulk(const Line& line, std::string* error) const {
    if (line.bulk.empty() || find_program(line.bulk[0]).empty()) return std::nullopt;
    must({"sh", "-c", "rm -rf dumped && mkdir dumped"});
    const int64_t start = now_ns();
    const Finished done = run(line.bulk, scratch_.top, scratch_.logs, options_.limit_s);
    if (done.ok()) return static_cast<double>(now_ns() - start);
    *error = done.why();
    return std::nullopt;
  }

  /// What was unpacked before is gone in all three.
  void clear(const Line& line) {
    if (line.dir != "new") return;
    must({"sh", "-c", "rm -rf source/new && mkdir source/new"});
    must({"cp", "--sparse=always", ext(), empty_ext()});
  }
  void restore(const Line& line) {
    if (line.dir == "new") must({"cp", "--sparse=always", empty_ext(), ext()});
  }

  void measure_round(const Line& line, Figures* figures) {
    clear(line);
    const auto native = time_run(line, {}, source(), &figures->error);
    const std::string image = line.iso ? "iso9660:" + iso() : "ext4:" + ext();
    const auto view = time_run(line, {viewsh_, "run", "--mount", image + ":" + at(), "--"}, at(),
                               &figures->error);
    restore(line);
    const auto peer = in_peer(line, &figures->error);
    restore(line);
    if (native) figures->native.push_back(*native);
    if (view) figures->view.push_back(*view);
    if (peer) figures->peer.push_back(*peer);
    if (view && native) figures->to_native.push_back(*view / *native);
    if (view && peer) figures->to_peer.push_back(*view / *peer);
  }

  static std::string number(const std::vector<double>& values, double unit) {
    if (values.empty()) return "-";
    char text[32];
    snprintf(text, sizeof text, unit == 1 ? "%.2f" : "%.3f", median(values) / unit);
    return text;
  }

  static std::string row(const Line& line, const Figures& figures) {
    constexpr double kSecond = 1e9;
    std::string text = std::string("| ") + line.title;
    text += " | " + number(figures.native, kSecond) + " | " + number(figures.view, kSecond);
    text += " | " + number(figures.peer, kSecond) + " | " + number(figures.to_native, 1);
    text += " | " + number(figures.to_peer, 1) + " |";
    return text + (figures.error.empty() ? "" : " " + figures.error) + "\n";
  }

  std::string viewsh_;
  std::string self_;
  Scratch scratch_;
  Options options_;
  PeerMounts& peers_;
  std::string why_no_peer_;
};

}  // namespace

std::string measure_images(const std::string& viewsh, const std::string& self,
                           const Scratch& scratch, const Options& options, PeerMounts* peers) {
  for (const char* program : {"mke2fs", "genisoimage"}) {
    if (find_program(program).empty()) die(std::string("--images: there is no ") + program);
  }
  return Images(viewsh, self, scratch, options, peers).measure();
}

}  // namespace bench
