// Contents of files that a server gives in one way or another.
#include <sys/mman.h>
#include <unistd.h>

#include <climits>

#include "fuse_image_fixture.h"

namespace viewsh {
namespace {

class FuseExtract : public FuseImageTest {
 protected:
  Result<void> extract(uint64_t size) {
    FuseOptions options;
    options.max_unknown = 1 << 20;
    start(options);
    has_name("f", entry(5, S_IFREG | 0644, size));
    says(FUSE_GETATTR, attr_out(S_IFREG | 0644, size));
    look("f");
    fd_ = UniqueFd(::memfd_create("extracted", MFD_CLOEXEC));
    return image_->extract(5, fd_.get());
  }
  std::string content() {
    struct stat st;
    EXPECT_EQ(::fstat(fd_.get(), &st), 0);
    std::string text(static_cast<size_t>(st.st_size), '\0');
    EXPECT_EQ(::pread(fd_.get(), text.data(), text.size(), 0), st.st_size);
    return text;
  }
  /// Reads give parts of this.
  void has_content(const std::string& text, size_t at_most = SIZE_MAX) {
    on[FUSE_READ] = [text, at_most](const FuseReceived& request) {
      const auto in = request.as<fuse_read_in>();
      const std::string part = in.offset >= text.size()
                                   ? ""
                                   : text.substr(in.offset, std::min<size_t>(in.size, at_most));
      return std::vector{ScriptedServer::reply(request.header.unique, part)};
    };
  }
  UniqueFd fd_;
};

TEST_F(FuseExtract, ASizeOfZeroIsBelievedUnlessReadsAreDirect) {
  has_content("the content of a file as in proc");
  ASSERT_TRUE(extract(0));
  EXPECT_EQ(content(), "");
  says(FUSE_OPEN, fuse_open_out{1, FOPEN_DIRECT_IO, 0});
  ASSERT_TRUE(extract(0));
  EXPECT_EQ(content(), "the content of a file as in proc");
}

/// go-fuse has such a file, and opens it to find out whether it can be polled.
TEST_F(FuseExtract, WhatIsEmptyIsNotRead) {
  fails(FUSE_READ, ERANGE);
  ASSERT_TRUE(extract(0));
  EXPECT_EQ(content(), "");
}

TEST_F(FuseExtract, DirectReadsGoOnToTheEnd) {
  says(FUSE_OPEN, fuse_open_out{1, FOPEN_DIRECT_IO, 0});
  has_content(std::string(1000, 'x') + "end", 7);
  ASSERT_TRUE(extract(5));
  EXPECT_EQ(content(), std::string(1000, 'x') + "end");
}

TEST_F(FuseExtract, AShortReadIsTheEnd) {
  has_content("short");
  ASSERT_TRUE(extract(1000));
  EXPECT_EQ(content(), "short");
}

TEST_F(FuseExtract, AContentWithoutEndEnds) {
  on[FUSE_READ] = [](const FuseReceived& request) {
    return std::vector{ScriptedServer::reply(request.header.unique,
                                             std::string(request.as<fuse_read_in>().size, '\0'))};
  };
  EXPECT_EQ(extract(INT64_MAX).error(), EFBIG);
  says(FUSE_OPEN, fuse_open_out{1, FOPEN_DIRECT_IO, 0});
  EXPECT_EQ(extract(0).error(), EFBIG);
  EXPECT_EQ(extract(INT64_MAX).error(), EFBIG);
}

TEST_F(FuseExtract, HolesAreNotRead) {
  constexpr uint64_t kSize = 1ULL << 40;
  on[FUSE_LSEEK] = [](const FuseReceived& request) {
    const auto in = request.as<fuse_lseek_in>();
    const uint64_t unique = request.header.unique;
    if (in.whence == SEEK_HOLE) {
      return std::vector{ScriptedServer::reply_with(unique, fuse_lseek_out{in.offset + 4096})};
    }
    if (in.offset > 4096) return std::vector{ScriptedServer::reply(unique, "", ENXIO)};
    return std::vector{ScriptedServer::reply_with(unique, fuse_lseek_out{8192})};
  };
  on[FUSE_READ] = [](const FuseReceived& request) {
    return std::vector{ScriptedServer::reply(request.header.unique,
                                             std::string(request.as<fuse_read_in>().size, 'd'))};
  };
  ASSERT_TRUE(extract(kSize));
  EXPECT_EQ(server_->count(FUSE_READ), 1u);
  struct stat st;
  ASSERT_EQ(::fstat(fd_.get(), &st), 0);
  EXPECT_EQ(st.st_size, static_cast<off_t>(kSize));
}

TEST_F(FuseExtract, ASeekThatGoesNowhereIsNotFollowed) {
  says(FUSE_LSEEK, fuse_lseek_out{0});
  has_content("content");
  ASSERT_TRUE(extract(7));
  EXPECT_EQ(content(), "content");
}

}  // namespace
}  // namespace viewsh
