#include "observer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/path.h"
#include "syscalls/borrow.h"

namespace viewsh {

namespace {

constexpr unsigned bit(Access access) { return static_cast<unsigned>(access); }

/// As the kernel would find it now: what the walk didn't look at, because the task's own call does.
void look_on_host(const std::string& host, Observer::Sight* sight) {
  struct stat st {};
  if (host.empty() || lstat(host.c_str(), &st) < 0) return;
  sight->exists = true;
  sight->type = type_of_mode(st.st_mode);
}

std::string link_text(const std::string& host) {
  char text[PATH_MAX];
  ssize_t n = readlink(host.c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "";
}

std::optional<Endpoint> endpoint_of(Call& call, uint64_t address, uint64_t length) {
  sockaddr_storage name{};
  if (address == 0 || length < sizeof(sa_family_t)) return std::nullopt;
  size_t size = std::min<size_t>(length, sizeof name);
  if (!call.memory().read(address, &name, size).ok()) return std::nullopt;
  Endpoint out;
  char text[INET6_ADDRSTRLEN] = "";
  if (name.ss_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    memcpy(&in, &name, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    out.port = ntohs(in.sin_port);
  } else if (name.ss_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    memcpy(&in, &name, sizeof in);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    out.port = ntohs(in.sin6_port);
  } else {
    return std::nullopt;
  }
  out.address = text;
  return out;
}

std::string protocol_of(const Task& task, int fd) {
  Result<UniqueFd> same = borrow_fd(task, fd);
  int type = 0;
  socklen_t size = sizeof type;
  if (!same.ok() || getsockopt(same->get(), SOL_SOCKET, SO_TYPE, &type, &size) < 0) return "ip";
  return type == SOCK_STREAM ? "tcp" : type == SOCK_DGRAM ? "udp" : "ip";
}

}  // namespace

/// What calls do with the paths they walk to, by name. All others look at them.
const Observer::Named Observer::kKinds[] = {
    {"open", Kind::kOpen},
    {"openat", Kind::kOpen},
    {"openat2", Kind::kOpenat2},
    {"creat", Kind::kCreat},
    {"execve", Kind::kExec},
    {"execveat", Kind::kExec},
    {"chdir", Kind::kEnter},
    {"fchdir", Kind::kEnter},
    {"getdents", Kind::kList},
    {"getdents64", Kind::kList},
    {"mkdir", Kind::kMake},
    {"mkdirat", Kind::kMake},
    {"mknod", Kind::kMake},
    {"mknodat", Kind::kMake},
    {"symlink", Kind::kMake},
    {"symlinkat", Kind::kMake},
    {"unlink", Kind::kRemove},
    {"unlinkat", Kind::kRemove},
    {"rmdir", Kind::kRemove},
    {"rename", Kind::kMove},
    {"renameat", Kind::kMove},
    {"renameat2", Kind::kMove},
    {"link", Kind::kLink},
    {"linkat", Kind::kLink},
    {"truncate", Kind::kWrite},
    {"chmod", Kind::kChange},
    {"fchmod", Kind::kChange},
    {"fchmodat", Kind::kChange},
    {"fchmodat2", Kind::kChange},
    {"chown", Kind::kChange},
    {"lchown", Kind::kChange},
    {"fchown", Kind::kChange},
    {"fchownat", Kind::kChange},
    {"utime", Kind::kChange},
    {"utimes", Kind::kChange},
    {"futimesat", Kind::kChange},
    {"utimensat", Kind::kChange},
    {"setxattr", Kind::kChange},
    {"lsetxattr", Kind::kChange},
    {"fsetxattr", Kind::kChange},
    {"removexattr", Kind::kChange},
    {"lremovexattr", Kind::kChange},
    {"fremovexattr", Kind::kChange},
    {"setxattrat", Kind::kChange},
    {"removexattrat", Kind::kChange},
    {"file_setattr", Kind::kChange},
    {"connect", Kind::kConnect},
    {"sendto", Kind::kSend},
    {"sendmsg", Kind::kSendMessage},
    {"sendmmsg", Kind::kSendMessage},
    {"bind", Kind::kBind},
};

Observer::Observer(AccessRecord* record) : record_(record) {
  for (const Row& row : table()) {
    by_number_.resize(static_cast<size_t>(row.nr) + 1, Kind::kLook);
    for (const Named& named : kKinds) {
      if (named.name == row.name) by_number_[static_cast<size_t>(row.nr)] = named.kind;
    }
  }
}

uint64_t Observer::bit_of(const std::string& exe) {
  std::string name = exe.empty() ? "viewsh" : std::string(base_name(exe));
  std::vector<std::string>& known = record_->programs;
  auto found = std::find(known.begin(), known.end(), name);
  auto index = static_cast<size_t>(found - known.begin());
  if (found == known.end() && known.size() + 1 < AccessRecord::kMaxPrograms) known.push_back(name);
  return uint64_t{1} << std::min(index, AccessRecord::kMaxPrograms - 1);
}

bool Observer::knows(const std::string& path, unsigned how) const {
  auto known = record_->paths.find(path);
  return known != record_->paths.end() && known->second.existed && (known->second.how & how) == how;
}

Observer::Sight Observer::sight_of(const Visit& visit, const FsContext& fs) const {
  Sight sight;
  if (!visit.walked.ok()) {
    bool absent = visit.walked.error() == ENOENT && !visit.text.empty();
    if (absent)
      sight.path = lexically_normal(visit.text[0] == '/' ? visit.text : fs.cwd + "/" + visit.text);
    return sight;
  }
  const Walked& walked = *visit.walked;
  sight.path = walked.view_path;
  if (walked.proc_magic) sight.path = "/proc";
  if (walked.found.kind == Found::Kind::kMissing) return sight;
  sight.type = walked.found.type;
  sight.exists = walked.found.exists;
  auto known = record_->paths.find(sight.path);
  bool seen = known != record_->paths.end() && known->second.existed;
  if (seen) sight.type = known->second.type;
  if (seen && sight.exists) return sight;
  if (!sight.exists || sight.type == NodeType::kUnknown) look_on_host(walked.found.host, &sight);
  return sight;
}

void Observer::add_visits(Call& call, Access how, Seen* seen) const {
  for (const Visit& visit : call.visits()) {
    Sight sight = sight_of(visit, *call.task().fs);
    for (const FollowedLink& link : visit.followed)
      seen->links.emplace_back(link.view_path, link.target);
    if (sight.exists && sight.type == NodeType::kSymlink && !knows(sight.path, 0)) {
      seen->links.emplace_back(sight.path, link_text(visit.walked->found.host));
    }
    if (sight.exists) sight.how = bit(how);
    if (!sight.path.empty()) seen->sights.push_back(std::move(sight));
  }
}

/// Writes `later` down if the call ends well. Nothing is asked for what is known already.
void Observer::when_done(Seen later, Outcome* outcome, std::function<bool(long)> good) {
  bool known = later.endpoints.empty() &&
               std::all_of(later.sights.begin(), later.sights.end(),
                           [this](const Sight& sight) { return knows(sight.path, sight.how); });
  bool refused = outcome->kind == Outcome::Kind::kReturn && !good(outcome->value);
  if (known || refused) return;
  if (outcome->kind == Outcome::Kind::kReturn) return keep(later);
  outcome->then([this, later = std::move(later), good = std::move(good)](long result) {
    if (good(result)) keep(later);
    return result;
  });
}

void Observer::look_at_open(Call& call, Kind kind, Seen* seen, Outcome* outcome) {
  int flags = O_CREAT | O_WRONLY | O_TRUNC;
  if (kind == Kind::kOpen)
    flags = static_cast<int>(call.argument(call.signature().size() == 3 ? 1 : 2));
  if (kind == Kind::kOpenat2) {
    Result<open_how> how = call.memory().get<open_how>(call.argument(2));
    flags = how.ok() ? static_cast<int>(how->flags) : 0;
  }
  if (seen->sights.empty()) return;
  Sight& sight = seen->sights.back();
  bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
  bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
  bool reads = (flags & O_ACCMODE) != O_WRONLY && (flags & O_PATH) == 0;
  if ((flags & O_PATH) != 0) writes = false;
  if (sight.exists && reads && sight.type != NodeType::kDirectory) sight.how = bit(Access::kRead);
  bool creates = !sight.exists && (flags & O_CREAT) != 0;
  if (!creates && !(writes && sight.exists)) return;
  Seen later{{sight}, {}, {}, seen->program, true};
  later.sights[0].how = bit(creates ? Access::kCreated : Access::kWritten);
  if (creates) later.sights[0].type = NodeType::kRegular;
  if (nameless) later.sights[0].how = bit(Access::kWritten);
  when_done(std::move(later), outcome, [](long result) { return result >= 0; });
}

/// Calls that make, take away or change names and nodes.
void Observer::look_at_change(Kind kind, Seen* seen, Outcome* outcome) {
  if (seen->sights.empty()) return;
  Seen later{{}, {}, {}, seen->program, true};
  std::vector<Sight>& sights = seen->sights;
  bool two = (kind == Kind::kMove || kind == Kind::kLink) && sights.size() >= 2;
  if ((kind == Kind::kMove || kind == Kind::kLink) && !two) return;
  auto add = [&later](Sight sight, Access how) {
    sight.how = bit(how);
    later.sights.push_back(std::move(sight));
  };
  switch (kind) {
    case Kind::kMake:
      add(sights.back(), Access::kCreated);
      break;
    case Kind::kRemove:
      add(sights.back(), Access::kRemoved);
      break;
    case Kind::kWrite:
      add(sights.back(), Access::kWritten);
      break;
    case Kind::kMove:
      add(sights[0], Access::kRemoved);
      [[fallthrough]];
    case Kind::kLink:
      add(sights[1], Access::kCreated);
      later.sights.back().how |= bit(Access::kMoved);
      break;
    default:
      add(sights.back(), Access::kChanged);
      break;
  }
  std::string from = two ? parent_path(sights[0].path) : "";
  std::string to = two ? parent_path(sights[1].path) : "";
  AccessRecord* record = record_;
  when_done(std::move(later), outcome, [record, from, to](long result) {
    if (result == 0 && from != to) record->moves.emplace(from, to);
    return result == 0;
  });
}

void Observer::look_at_peer(Call& call, Kind kind, Seen* seen, Outcome* outcome) {
  if (!seen->sights.empty() && kind == Kind::kBind)
    return look_at_change(Kind::kMake, seen, outcome);
  if (!seen->sights.empty()) return;
  uint64_t address = call.argument(1);
  uint64_t length = call.argument(2);
  if (kind == Kind::kSend) {
    address = call.argument(4);
    length = call.argument(5);
  } else if (kind == Kind::kSendMessage) {
    Result<msghdr> header = call.memory().get<msghdr>(call.argument(1));
    if (!header.ok()) return;
    address = reinterpret_cast<uint64_t>(header->msg_name);
    length = header->msg_namelen;
  }
  std::optional<Endpoint> peer = endpoint_of(call, address, length);
  if (!peer) return;
  peer->protocol = protocol_of(call.task(), static_cast<int>(call.argument(0)));
  peer->bound = kind == Kind::kBind;
  Seen later{{}, {}, {*peer}, seen->program, true};
  if (record_->endpoints.contains(*peer)) {
    seen->endpoints.push_back(*peer);
    return;
  }
  when_done(std::move(later), outcome,
            [](long result) { return result >= 0 || result == -EINPROGRESS; });
}

Observer::Seen Observer::look(Call& call, const Row& row, Outcome* outcome) {
  Seen seen;
  seen.program = bit_of(call.task().mm->exe);
  Kind kind = by_number_[static_cast<size_t>(row.nr)];
  Access how = Access::kLookedAt;
  if (kind == Kind::kExec) how = Access::kExecuted;
  if (kind == Kind::kEnter) how = Access::kEntered;
  if (kind == Kind::kList) how = Access::kListed;
  bool peer = kind == Kind::kConnect || kind == Kind::kSend || kind == Kind::kSendMessage;
  if (peer) how = Access::kConnected;
  add_visits(call, how, &seen);
  switch (kind) {
    case Kind::kOpen:
    case Kind::kCreat:
    case Kind::kOpenat2:
      look_at_open(call, kind, &seen, outcome);
      break;
    case Kind::kMake:
    case Kind::kRemove:
    case Kind::kMove:
    case Kind::kLink:
    case Kind::kWrite:
    case Kind::kChange:
      look_at_change(kind, &seen, outcome);
      break;
    case Kind::kConnect:
    case Kind::kSend:
    case Kind::kSendMessage:
    case Kind::kBind:
      look_at_peer(call, kind, &seen, outcome);
      break;
    default:
      break;
  }
  return seen;
}

void Observer::keep(const Seen& seen) {
  for (const Sight& sight : seen.sights) {
    auto [known, fresh] = record_->paths.try_emplace(sight.path);
    PathUse& use = known->second;
    if (fresh) use.existed = sight.exists;
    // What others made while the run went on was not there for it to make.
    bool came = !use.existed && !use.did(Access::kCreated) && sight.exists;
    if (came) use.existed = true;
    if (sight.type != NodeType::kUnknown) use.type = sight.type;
    use.how |= sight.how;
    use.programs |= seen.program;
    if (!seen.again) ++use.count;
  }
  for (const auto& [path, target] : seen.links) record_->links.try_emplace(path, target);
  for (const Endpoint& endpoint : seen.endpoints) {
    PathUse& use = record_->endpoints[endpoint];
    use.programs |= seen.program;
    ++use.count;
  }
}

}  // namespace viewsh
