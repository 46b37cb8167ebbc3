#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <map>
#include <string>

#include "fuse_fixture.h"

namespace viewsh {

/// What tests of FuseImage with a script ask and let the server say.
class FuseImageTest : public FuseScripted {
 protected:
  static fuse_attr_out attr_out(mode_t mode, uint64_t size = 0) {
    fuse_attr_out out = {};
    out.attr = attr(mode, size);
    return out;
  }
  NodeId look(const std::string& name) {
    const auto found = image_->lookup(FUSE_ROOT_ID, name);
    EXPECT_TRUE(found) << found.error().message();
    return found ? *found : 0;
  }
  /// The number of look-ups that were given back for a node.
  uint64_t forgotten(uint64_t node) {
    server_->serve();
    uint64_t count = 0;
    for (const FuseReceived& one : server_->seen) {
      if (one.header.opcode == FUSE_FORGET && one.header.nodeid == node) {
        count += one.as<fuse_forget_in>().nlookup;
      }
      if (one.header.opcode != FUSE_BATCH_FORGET) continue;
      const auto in = one.as<fuse_batch_forget_in>();
      for (uint32_t i = 0; i < in.count; ++i) {
        fuse_forget_one each;
        EXPECT_TRUE(fuse_get(one.body, sizeof in + i * sizeof each, &each));
        if (each.nodeid == node) count += each.nlookup;
      }
    }
    return count;
  }
  static std::string dirent(uint64_t ino, uint64_t offset, const std::string& name,
                            uint32_t length = 0) {
    std::string out;
    out.append(fuse_bytes(ino)).append(fuse_bytes(offset));
    const auto real = static_cast<uint32_t>(name.size());
    const uint32_t said = length != 0 ? length : real;
    const uint32_t type = DT_REG;
    out.append(fuse_bytes(said)).append(fuse_bytes(type)).append(name);
    out.resize(FUSE_REC_ALIGN(out.size()), '\0');
    return out;
  }
  /// What READDIR says at each offset; READDIRPLUS isn't there.
  void listing(std::map<uint64_t, std::string> replies) {
    fails(FUSE_READDIRPLUS, ENOSYS);
    says(FUSE_OPENDIR, fuse_open_out{9, 0, 0});
    on[FUSE_READDIR] = [replies](const FuseReceived& request) {
      const auto found = replies.find(request.as<fuse_read_in>().offset);
      return std::vector{ScriptedServer::reply(request.header.unique,
                                               found == replies.end() ? "" : found->second)};
    };
  }
  static WritableImage::NewNode file() { return {S_IFREG | 0644, 1, 2, 0}; }
};

}  // namespace viewsh
