#include "fuse_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

namespace viewsh {

Result<void> ScriptedServer::wait(FuseChannel& channel, uint64_t unique) {
  serve();
  channel.pump();
  if (channel.done(unique)) return {};
  if (!interrupts.empty()) {
    const Errno error = interrupts.front();
    interrupts.pop_front();
    return error;
  }
  // What was kept in the channel may have been sent by now.
  const size_t before = seen.size();
  serve();
  channel.pump();
  if (channel.done(unique) || seen.size() != before) return {};
  return Errno(ETIMEDOUT);
}

void ScriptedServer::serve() {
  std::string buffer(FuseChannel::kMaxPacket + 1, '\0');
  while (fd_.valid()) {
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
    FuseReceived request;
    std::memcpy(&request.header, buffer.data(), sizeof request.header);
    EXPECT_EQ(request.header.len, static_cast<size_t>(size));
    request.body =
        buffer.substr(sizeof request.header, static_cast<size_t>(size) - sizeof request.header);
    seen.push_back(request);
    if (!script) continue;
    for (const std::string& packet : script(request)) send(packet);
  }
}

void ScriptedServer::send(const std::string& packet) {
  if (fd_.valid()) (void)::send(fd_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

std::string ScriptedServer::reply(uint64_t unique, const std::string& payload, int error) {
  fuse_out_header out = {};
  out.len = static_cast<uint32_t>(sizeof out + payload.size());
  out.error = -error;
  out.unique = unique;
  return std::string(fuse_bytes(out)) + payload;
}

size_t ScriptedServer::count(uint32_t opcode) const {
  return static_cast<size_t>(std::count_if(seen.begin(), seen.end(), [&](const FuseReceived& one) {
    return one.header.opcode == opcode;
  }));
}

void FuseScripted::start(const FuseOptions& options) {
  auto pair = FuseChannel::make_pair();
  ASSERT_TRUE(pair);
  if (init_.major == 0) {
    init_.major = 7;
    init_.minor = 38;
    init_.max_write = 128 << 10;
    init_.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS;
    init_.max_pages = 32;
  }
  auto server = std::make_unique<ScriptedServer>(std::move(pair->second));
  server_ = server.get();
  server_->script = [this](const FuseReceived& request) { return answer(request); };
  image_ = std::make_unique<FuseImage>(std::move(pair->first), std::move(server), options);
}

std::vector<std::string> FuseScripted::answer(const FuseReceived& request) {
  const uint64_t unique = request.header.unique;
  if (const auto found = on.find(request.header.opcode); found != on.end()) {
    // It may replace itself.
    const Answer act = found->second;
    return act(request);
  }
  switch (request.header.opcode) {
    case FUSE_INIT:
      return {ScriptedServer::reply_with(unique, init_)};
    case FUSE_LOOKUP: {
      const auto found = names_.find(request.name(0));
      if (found == names_.end()) return {ScriptedServer::reply(unique, "", ENOENT)};
      return {ScriptedServer::reply_with(unique, found->second)};
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
    case FUSE_NOTIFY_REPLY:
      return {};
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_DESTROY:
      return {ScriptedServer::reply(unique)};
    default:
      return {ScriptedServer::reply(unique, "", ENOSYS)};
  }
}

fuse_attr FuseScripted::attr(mode_t mode, uint64_t size) {
  fuse_attr out = {};
  out.ino = 77;
  out.mode = mode;
  out.size = size;
  out.nlink = 1;
  return out;
}

fuse_entry_out FuseScripted::entry(uint64_t node, mode_t mode, uint64_t size) {
  fuse_entry_out out = {};
  out.nodeid = node;
  out.generation = 1;
  out.attr = attr(mode, size);
  return out;
}

std::string fuse_test_program(const std::string& name) {
  return std::string(VIEWSH_FUSE_PROGRAMS) + "/" + name;
}

std::unique_ptr<FuseProgram> FuseProgram::start(const Spec& spec, const FuseOptions& options) {
  auto pair = FuseChannel::make_pair();
  if (!pair) return nullptr;
  const int fd = pair->second.get();
  std::vector<std::string> argv = spec.argv;
  for (std::string& arg : argv) {
    if (arg == "{}") arg = "/dev/fd/" + std::to_string(fd);
  }
  auto program = std::unique_ptr<FuseProgram>(new FuseProgram);
  std::vector<std::string> env = spec.env;
  if (spec.shim) {
    env.push_back("VIEWSH_FUSE_FD=" + std::to_string(fd));
    env.push_back("LD_PRELOAD=" + fuse_test_program("fuse_shim.so"));
    // The sanitizer wants to be first.
    env.push_back("ASAN_OPTIONS=verify_asan_link_order=0");
  }
  program->pid_ = ::fork();
  if (program->pid_ == 0) {
    ::fcntl(fd, F_SETFD, 0);
    if (getenv("VIEWSH_FUSE_LOG") == nullptr) {
      const int null = ::open("/dev/null", O_RDWR);
      ::dup2(null, 1);
      ::dup2(null, 2);
    }
    for (std::string& one : env) ::putenv(one.data());
    std::vector<char*> args;
    for (std::string& arg : argv) args.push_back(arg.data());
    args.push_back(nullptr);
    ::execvp(args[0], args.data());
    ::_exit(127);
  }
  constexpr int kDeadlineMs = 20'000;
  program->image_ = std::make_unique<FuseImage>(
      std::move(pair->first), std::make_unique<FusePollWait>(kDeadlineMs), options);
  return program;
}

Result<void> FuseProgram::close() {
  const auto closed = image_->close();
  if (pid_ > 0) ::waitpid(std::exchange(pid_, -1), &status_, 0);
  return closed;
}

void FuseProgram::kill(int signal) {
  if (pid_ > 0) ::kill(pid_, signal);
}

bool FuseProgram::running() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

FuseProgram::~FuseProgram() {
  image_.reset();
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
}

FuseDirectory::FuseDirectory() {
  path_ = std::filesystem::temp_directory_path() / "viewsh-fuse-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) std::abort();
}

FuseDirectory::~FuseDirectory() {
  std::error_code ignored;  // what a failed test left without permissions stays
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace viewsh
