// What the ABI promises round a system call: every register but rax, rcx and r11, the vector
// registers, the flags, and the red zone below the stack pointer.

#include <algorithm>

#include "support.h"

// long viewsh_test_call(Frame* frame): loads the registers from frame->in, fills the red zone,
// makes the call and stores what it finds in frame->out. The offsets are those of Frame below.
asm(R"(
    .text
    .globl viewsh_test_call
    .type viewsh_test_call, @function
viewsh_test_call:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq $16, %rcx
    leaq -128(%rsp), %rdx
1:  movq %rcx, %rax
    imulq $0x01010101, %rax, %rax
    movq %rax, -8(%rdx,%rcx,8)
    decq %rcx
    jnz 1b
    movq %rdi, %rax
    movdqu 256(%rax), %xmm0
    movdqu 272(%rax), %xmm1
    movdqu 288(%rax), %xmm7
    movdqu 304(%rax), %xmm15
    movq 8(%rax), %rbx
    movq 16(%rax), %rdx
    movq 24(%rax), %rsi
    movq 40(%rax), %rbp
    movq 48(%rax), %r8
    movq 56(%rax), %r9
    movq 64(%rax), %r10
    movq 72(%rax), %r12
    movq 80(%rax), %r13
    movq 88(%rax), %r14
    movq 96(%rax), %r15
    movq 32(%rax), %rdi
    movq (%rax), %rax
    stc
    syscall
2:  leaq -128(%rsp), %rsp
    pushfq
    pushq %rax
    movq 144(%rsp), %rax
    movq %rbx, 136(%rax)
    movq %rdx, 144(%rax)
    movq %rsi, 152(%rax)
    movq %rdi, 160(%rax)
    movq %rbp, 168(%rax)
    movq %r8, 176(%rax)
    movq %r9, 184(%rax)
    movq %r10, 192(%rax)
    movq %r12, 200(%rax)
    movq %r13, 208(%rax)
    movq %r14, 216(%rax)
    movq %r15, 224(%rax)
    movq %rcx, 232(%rax)
    movq %r11, 240(%rax)
    leaq 2b(%rip), %rdx
    movq %rdx, 248(%rax)
    movdqu %xmm0, 320(%rax)
    movdqu %xmm1, 336(%rax)
    movdqu %xmm7, 352(%rax)
    movdqu %xmm15, 368(%rax)
    popq 128(%rax)
    popq 384(%rax)
    movq $16, %rcx
3:  movq -8(%rsp,%rcx,8), %rdx
    movq %rdx, 384(%rax,%rcx,8)
    decq %rcx
    jnz 3b
    leaq 128(%rsp), %rsp
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    movq 128(%rax), %rax
    ret
    .size viewsh_test_call, . - viewsh_test_call
)");

namespace viewsh_test {
namespace {

struct Registers {
  uint64_t rax, rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15, rcx, r11, next;
};
struct Frame {
  Registers in;
  Registers out;
  std::array<uint64_t, 8> vectors_in;
  std::array<uint64_t, 8> vectors_out;
  uint64_t flags;
  std::array<uint64_t, 16> red_zone;
};
static_assert(offsetof(Frame, out) == 128 && offsetof(Frame, vectors_in) == 256 &&
              offsetof(Frame, flags) == 384);

extern "C" long viewsh_test_call(Frame* frame);

class RegistersTest : public SyscallTest {
 protected:
  template <typename... Args>
  long call(const std::string& what, long number, Args... args) {
    std::array<long, 6> values = {0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666};
    size_t i = 0;
    ((values[i++] = to_register(args)), ...);
    auto value = [&](size_t n) { return static_cast<uint64_t>(values[n]); };
    Frame frame = {};
    frame.in = {static_cast<uint64_t>(number),
                0xb0b0b0b0b0b0b0b0,
                value(2),
                value(1),
                value(0),
                0xb9b9b9b9b9b9b9b9,
                value(4),
                value(5),
                value(3),
                0xc1c1c1c1c1c1c1c1,
                0xc2c2c2c2c2c2c2c2,
                0xc3c3c3c3c3c3c3c3,
                0xc4c4c4c4c4c4c4c4,
                0,
                0,
                0};
    for (size_t k = 0; k < frame.vectors_in.size(); ++k) {
      frame.vectors_in[k] = 0x123456789abcdef0 + k;
    }
    long result = viewsh_test_call(&frame);
    EXPECT_EQ(frame.out.rbx, frame.in.rbx) << what;
    EXPECT_EQ(frame.out.rdx, frame.in.rdx) << what;
    EXPECT_EQ(frame.out.rsi, frame.in.rsi) << what;
    EXPECT_EQ(frame.out.rdi, frame.in.rdi) << what;
    EXPECT_EQ(frame.out.rbp, frame.in.rbp) << what;
    EXPECT_EQ(frame.out.r8, frame.in.r8) << what;
    EXPECT_EQ(frame.out.r9, frame.in.r9) << what;
    EXPECT_EQ(frame.out.r10, frame.in.r10) << what;
    EXPECT_EQ(frame.out.r12, frame.in.r12) << what;
    EXPECT_EQ(frame.out.r13, frame.in.r13) << what;
    EXPECT_EQ(frame.out.r14, frame.in.r14) << what;
    EXPECT_EQ(frame.out.r15, frame.in.r15) << what;
    EXPECT_EQ(frame.out.rcx, frame.out.next) << what << ": rcx is the return address";
    EXPECT_EQ(frame.flags & 1, 1U) << what << ": the carry flag was set before";
    EXPECT_EQ(frame.out.r11 & 0xcd5, frame.flags & 0xcd5) << what << ": r11 holds the flags";
    EXPECT_EQ(frame.vectors_out, frame.vectors_in) << what;
    for (size_t k = 0; k < 16; ++k) {
      EXPECT_EQ(frame.red_zone[k], (k + 1) * 0x01010101) << what << ": red zone " << k;
    }
    return result;
  }
};

TEST_F(RegistersTest, AnyCall) {
  EXPECT_EQ(call("getpid", SYS_getpid), ::getpid());
  EXPECT_EQ(call("unknown", 3000), -ENOSYS);
}

TEST_F(RegistersTest, PathCalls) {
  write_file("f", "content");
  ASSERT_EQ(::symlink("f", "link"), 0);
  struct stat st;
  struct statx stx;
  std::array<char, 4096> buffer;
  EXPECT_EQ(call("stat", SYS_stat, "f", &st), 0);
  EXPECT_EQ(call("stat of nothing", SYS_stat, "none", &st), -ENOENT);
  EXPECT_EQ(call("newfstatat", SYS_newfstatat, AT_FDCWD, "f", &st, 0), 0);
  EXPECT_EQ(call("statx", SYS_statx, AT_FDCWD, "f", 0, STATX_ALL, &stx), 0);
  EXPECT_EQ(call("access", SYS_access, at("f").c_str(), R_OK), 0);
  EXPECT_EQ(call("readlink", SYS_readlink, "link", buffer.data(), buffer.size()), 1);
  EXPECT_EQ(call("readlink of /proc", SYS_readlink, "/proc/self/exe", buffer.data(), 4096),
            static_cast<long>(own_binary().size()));
  EXPECT_GT(call("getcwd", SYS_getcwd, buffer.data(), buffer.size()), 0);
  long fd = call("openat", SYS_openat, AT_FDCWD, "f", O_RDONLY, 0);
  EXPECT_GE(fd, 0);
  EXPECT_EQ(call("read", SYS_read, fd, buffer.data(), 7), 7);
  EXPECT_EQ(call("close", SYS_close, fd), 0);
  EXPECT_EQ(call("bad address", SYS_openat, AT_FDCWD, 8, O_RDONLY, 0), -EFAULT);
}

TEST_F(RegistersTest, CallsThatChange) {
  EXPECT_EQ(call("mkdir", SYS_mkdir, "d", 0755), 0);
  EXPECT_EQ(call("mkdir again", SYS_mkdir, "d", 0755), -EEXIST);
  EXPECT_EQ(call("symlink", SYS_symlink, "x", "d/s"), 0);
  EXPECT_EQ(call("link", SYS_link, "d/s", "d/t"), 0);
  EXPECT_EQ(call("rename", SYS_rename, "d", "e"), 0);
  EXPECT_EQ(call("renameat2", SYS_renameat2, AT_FDCWD, "e", AT_FDCWD, "d", 0), 0);
  EXPECT_EQ(call("unlink", SYS_unlink, "d/s"), 0);
  EXPECT_EQ(call("chmod", SYS_chmod, "d", 0700), 0);
  EXPECT_EQ(call("chdir", SYS_chdir, "d"), 0);
  EXPECT_EQ(call("chdir", SYS_chdir, ".."), 0);
  EXPECT_EQ(call("execve of nothing", SYS_execve, "none", nullptr, nullptr), -ENOENT);
}

TEST_F(RegistersTest, LongPaths) {
  std::string path = dir() + "/";
  while (path.size() < 3900) path += "./";
  write_file("f", "");
  struct stat st;
  EXPECT_EQ(call("stat", SYS_stat, (path + "f").c_str(), &st), 0);
  EXPECT_EQ(call("rename", SYS_rename, (path + "f").c_str(), (path + "g").c_str()), 0);
  EXPECT_EQ(call("unlink", SYS_unlink, (path + "g").c_str()), 0);
}

TEST_F(RegistersTest, ManyTimes) {
  write_file("f", "");
  struct stat st;
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(call("stat", SYS_stat, "f", &st), 0);
    ASSERT_EQ(call("mkdir", SYS_mkdir, "d", 0755), 0);
    ASSERT_EQ(call("rmdir", SYS_rmdir, "d"), 0);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace viewsh_test
