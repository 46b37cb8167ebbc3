#pragma once

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fuse_bytes.h"
#include "fuse_image.h"

namespace viewsh {

/// A request as a server receives it.
struct FuseReceived {
  fuse_in_header header = {};
  std::string body;
  template <typename T>
  T as() const {
    T value = {};
    std::memcpy(&value, body.data(), std::min(sizeof value, body.size()));
    return value;
  }
  /// The name behind `skip` bytes of arguments.
  std::string name(size_t skip) const { return body.substr(skip).c_str(); }
};

/// A server that says what a test wants it to. It is served while a request waits: no thread, no
/// time. A request that it doesn't answer runs into ETIMEDOUT.
class ScriptedServer : public FuseWait {
 public:
  /// What is sent for a request: whole packets.
  using Script = std::function<std::vector<std::string>(const FuseReceived&)>;

  explicit ScriptedServer(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> wait(FuseChannel& channel, uint64_t unique) override;
  /// Receives all requests that are there, and answers them.
  void serve();
  void send(const std::string& packet);
  void hang_up() { fd_.reset(); }

  static std::string reply(uint64_t unique, const std::string& payload = {}, int error = 0);
  template <typename T>
  static std::string reply_with(uint64_t unique, const T& value) {
    return reply(unique, std::string(fuse_bytes(value)));
  }

  Script script;
  std::vector<FuseReceived> seen;
  size_t count(uint32_t opcode) const;
  /// What the next wait says instead of serving.
  std::deque<Errno> interrupts;

 private:
  UniqueFd fd_;
};

/// A FuseImage and the script that serves it. By default FUSE_INIT is answered, what is asked of
/// the root too, and anything else is ENOSYS, but for what `on` says.
class FuseScripted : public ::testing::Test {
 protected:
  using Answer = std::function<std::vector<std::string>(const FuseReceived&)>;
  void start(const FuseOptions& options = {});
  std::vector<std::string> answer(const FuseReceived& request);
  static fuse_attr attr(mode_t mode, uint64_t size = 0);
  static fuse_entry_out entry(uint64_t node, mode_t mode, uint64_t size = 0);
  /// FUSE_LOOKUP of a name leads to this.
  void has_name(const std::string& name, const fuse_entry_out& out) { names_[name] = out; }
  /// The structure, always.
  template <typename T>
  void says(uint32_t opcode, const T& value) {
    on[opcode] = [value](const FuseReceived& request) {
      return std::vector{ScriptedServer::reply_with(request.header.unique, value)};
    };
  }
  void fails(uint32_t opcode, int error) {
    on[opcode] = [error](const FuseReceived& request) {
      return std::vector{ScriptedServer::reply(request.header.unique, "", error)};
    };
  }
  void says_bytes(uint32_t opcode, const std::string& bytes) {
    on[opcode] = [bytes](const FuseReceived& request) {
      return std::vector{ScriptedServer::reply(request.header.unique, bytes)};
    };
  }

  std::map<uint32_t, Answer> on;
  fuse_init_out init_ = {};
  ScriptedServer* server_ = nullptr;  ///< the image's
  std::unique_ptr<FuseImage> image_;
  std::map<std::string, fuse_entry_out> names_;
};

/// A server program on the other end of an image.
class FuseProgram {
 public:
  struct Spec {
    std::vector<std::string> argv;  ///< "{}": the descriptor as a mount point
    std::vector<std::string> env;
    bool shim = false;  ///< it opens /dev/fuse itself
  };
  /// Null: it could not be started.
  static std::unique_ptr<FuseProgram> start(const Spec& spec, const FuseOptions& options = {});
  ~FuseProgram();
  FuseImage& image() { return *image_; }
  /// Closes the image and waits for the end of the server.
  Result<void> close();
  void kill(int signal);
  bool running();
  int status() const { return status_; }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  std::unique_ptr<FuseImage> image_;
};

/// A temporary directory that goes with the test.
class FuseDirectory {
 public:
  FuseDirectory();
  ~FuseDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string fuse_test_program(const std::string& name);

}  // namespace viewsh
