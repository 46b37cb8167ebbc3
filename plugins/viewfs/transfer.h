#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/filesystem.h"
#include "viewsh/layer.h"
#include "viewsh/unique_fd.h"

namespace viewsh::viewfs {

/// A node on its way into a layer or out of one.
struct TransferNode {
  std::string path;    ///< from the layer's mount point, without a leading slash; "": that itself
  Attr attr{};         ///< type, mode, owner, times, size, device number
  std::string target;  ///< a symbolic link's text
  std::string link;    ///< a further name of what came before as this path
  std::map<std::string, std::string> xattrs;  ///< by name
};

/// The data of a regular file, read once from the start to the end. What lies between two pieces is
/// a hole.
class Content {
 public:
  struct Piece {
    const void* data = nullptr;
    size_t size = 0;  ///< 0: the end
    uint64_t offset = 0;
  };
  struct Extent {
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  virtual ~Content() = default;
  /// Empty, or what went wrong.
  virtual std::string next(Piece* piece) = 0;
  /// Where there is data, where that is known beforehand; else the whole.
  virtual std::vector<Extent> extents() const { return {}; }
  /// The open file, where there is one; -1.
  virtual int fd() const { return -1; }
};

/// Data of an open file of the host.
class FileContent final : public Content {
 public:
  FileContent(UniqueFd fd, uint64_t size);
  std::string next(Piece* piece) override;
  std::vector<Extent> extents() const override { return extents_; }
  int fd() const override { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::vector<Extent> extents_;
  size_t current_ = 0;
  uint64_t done_ = 0;  ///< of the current extent
  std::vector<char> buffer_;
};

/// A file opened for reading. `loosen`: also where its mode keeps its owner from that, for which
/// the mode is changed for a moment; never to be asked for the lower's.
UniqueFd open_content(int dir_fd, const std::string& name, const Attr& attr, bool loosen);

/// Counts what went through, tells of it, and knows when to stop.
class TransferMeter {
 public:
  explicit TransferMeter(const TransferOptions& options) : options_(options) {}
  /// Empty, or that it is to stop. `nodes` and `bytes` more went through.
  std::string step(uint64_t nodes, uint64_t bytes);
  /// What is read has a known length; `done` of it is read.
  void set_source(uint64_t done, uint64_t total);
  void whiteout() { ++report_.whiteouts; }
  void note(std::string text) { report_.notes.push_back(std::move(text)); }
  /// A loss that may come often: told once, with the first place and the number.
  void lost(const std::string& what, const std::string& path);
  TransferReport take_report();

 private:
  struct Loss {
    std::string first;
    uint64_t count = 0;
  };
  const TransferOptions& options_;
  TransferReport report_;
  TransferProgress progress_;
  std::map<std::string, Loss> losses_;
};

/// Takes the nodes and marks of a layer. Each call returns empty or what went wrong, as
/// "what: why". A directory comes before what is in it, with its marks before its names.
class LayerSink {
 public:
  virtual ~LayerSink() = default;
  /// `content`: of a regular file that is no further name; else null.
  virtual std::string node(const TransferNode& node, Content* content) = 0;
  /// The lower's node of this name isn't shown.
  virtual std::string whiteout(const std::string& path) = 0;
  /// Nothing of the lower's directory of this name is shown.
  virtual std::string opaque(const std::string& path) = 0;
  virtual std::string finish() = 0;
};

/// The part that knows archives. It is an object of its own, loaded when it is needed: its
/// libraries would cost every start of a view.
class ArchiveModule {
 public:
  virtual ~ArchiveModule() = default;
  virtual std::unique_ptr<LayerSink> writer(int fd, Compression compression, TransferMeter* meter,
                                            std::string* error) = 0;
  virtual std::string read(int fd, LayerSink* sink, TransferMeter* meter) = 0;
};
/// Null: `error` says why.
ArchiveModule* archive_module(std::string* error);
#define VIEWSH_ARCHIVE_SYMBOL "viewsh_archive_module"

/// A path as the user is told it.
std::string told(std::string_view path);

}  // namespace viewsh::viewfs
