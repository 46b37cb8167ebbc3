// Who a process is in a view with an identity of its own. credentials(7), kernel/sys.c,
// kernel/groups.c
#include <algorithm>

#include "syscalls/handlers.h"

namespace viewsh {

namespace {

/// The four ids of one kind; uid_t and gid_t are the same type.
struct Ids {
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  uid_t file_system = 0;
};

constexpr uid_t kStays = static_cast<uid_t>(-1);

const Credentials& present(Call& call) { return call.session().identity->credentials(); }

Ids users(const Credentials& of) { return {of.ruid, of.euid, of.suid, of.fsuid}; }
Ids groups(const Credentials& of) { return {of.rgid, of.egid, of.sgid, of.fsgid}; }

Credentials with_users(Credentials of, const Ids& ids) {
  of.ruid = ids.real, of.euid = ids.effective, of.suid = ids.saved, of.fsuid = ids.file_system;
  return of;
}

Credentials with_groups(Credentials of, const Ids& ids) {
  of.rgid = ids.real, of.egid = ids.effective, of.sgid = ids.saved, of.fsgid = ids.file_system;
  return of;
}

/// CAP_SETUID, CAP_SETGID: without capabilities of its own, the view's root has them.
bool may_be_any(Call& call) { return present(call).euid == 0; }

Outcome put_three(Call& call, const Ids& ids, uint64_t real, uint64_t effective, uint64_t saved) {
  const std::pair<uint64_t, uid_t> out[] = {
      {real, ids.real}, {effective, ids.effective}, {saved, ids.saved}};
  for (const auto& [to, id] : out) {
    const Result<void> put = call.memory().put(to, id);
    if (!put.ok()) return Outcome::error(put.error());
  }
  return Outcome::result(0);
}

Result<Ids> set_one(Ids now, uid_t id, bool any) {
  if (id == kStays) return Errno(EINVAL);
  if (any) return Ids{id, id, id, id};
  if (id != now.real && id != now.saved) return Errno(EPERM);
  now.effective = now.file_system = id;
  return now;
}

Result<Ids> set_two(const Ids& old, uid_t real, uid_t effective, bool any) {
  Ids now = old;
  if (real != kStays) {
    now.real = real;
    if (!any && real != old.real && real != old.effective) return Errno(EPERM);
  }
  if (effective != kStays) {
    now.effective = effective;
    const bool own = effective == old.real || effective == old.effective || effective == old.saved;
    if (!any && !own) return Errno(EPERM);
  }
  if (real != kStays || (effective != kStays && effective != old.real)) now.saved = now.effective;
  now.file_system = now.effective;
  return now;
}

Result<Ids> set_three(const Ids& old, uid_t real, uid_t effective, uid_t saved, bool any) {
  for (const uid_t id : {real, effective, saved}) {
    const bool own = id == kStays || id == old.real || id == old.effective || id == old.saved;
    if (!own && !any) return Errno(EPERM);
  }
  Ids now = old;
  if (real != kStays) now.real = real;
  if (effective != kStays) now.effective = effective;
  if (saved != kStays) now.saved = saved;
  now.file_system = now.effective;
  return now;
}

Outcome become(Call& call, const Credentials& wanted) {
  return Outcome::of(call.session().identity->change(wanted));
}

Outcome become_user(Call& call, const Result<Ids>& ids) {
  return ids.ok() ? become(call, with_users(present(call), *ids)) : Outcome::error(ids.error());
}

Outcome become_group(Call& call, const Result<Ids>& ids) {
  return ids.ok() ? become(call, with_groups(present(call), *ids)) : Outcome::error(ids.error());
}

/// setfsuid(2) has no errors: it says what was there before.
Outcome set_file_system_id(Call& call, const Ids& old, uid_t id,
                           Credentials (*with)(Credentials, const Ids&)) {
  const bool own =
      id == old.real || id == old.effective || id == old.saved || id == old.file_system;
  if (id != kStays && (own || may_be_any(call))) {
    Ids now = old;
    now.file_system = id;
    // Where that isn't possible it doesn't happen, which the next such call tells.
    (void)call.session().identity->change(with(present(call), now));
  }
  return Outcome::result(static_cast<long>(old.file_system));
}

}  // namespace

Outcome sys_getuid(Call& call) { return Outcome::result(static_cast<long>(present(call).ruid)); }
Outcome sys_geteuid(Call& call) { return Outcome::result(static_cast<long>(present(call).euid)); }
Outcome sys_getgid(Call& call) { return Outcome::result(static_cast<long>(present(call).rgid)); }
Outcome sys_getegid(Call& call) { return Outcome::result(static_cast<long>(present(call).egid)); }

Outcome sys_getresuid(Call& call, Addr<uid_t> real, Addr<uid_t> effective, Addr<uid_t> saved) {
  return put_three(call, users(present(call)), real.value, effective.value, saved.value);
}

Outcome sys_getresgid(Call& call, Addr<gid_t> real, Addr<gid_t> effective, Addr<gid_t> saved) {
  return put_three(call, groups(present(call)), real.value, effective.value, saved.value);
}

Outcome sys_getgroups(Call& call, int size, Addr<gid_t> list) {
  if (size < 0) return Outcome::error(EINVAL);
  const std::vector<gid_t>& all = present(call).groups;
  const auto count = static_cast<long>(all.size());
  if (size == 0) return Outcome::result(count);
  if (count > size) return Outcome::error(EINVAL);
  if (all.empty()) return Outcome::result(0);
  const Result<void> put = call.memory().write(list.value, all.data(), all.size() * sizeof(gid_t));
  return put.ok() ? Outcome::result(count) : Outcome::error(put.error());
}

Outcome sys_setuid(Call& call, uid_t uid) {
  return become_user(call, set_one(users(present(call)), uid, may_be_any(call)));
}

Outcome sys_setgid(Call& call, gid_t gid) {
  return become_group(call, set_one(groups(present(call)), gid, may_be_any(call)));
}

Outcome sys_setreuid(Call& call, uid_t real, uid_t effective) {
  return become_user(call, set_two(users(present(call)), real, effective, may_be_any(call)));
}

Outcome sys_setregid(Call& call, gid_t real, gid_t effective) {
  return become_group(call, set_two(groups(present(call)), real, effective, may_be_any(call)));
}

Outcome sys_setresuid(Call& call, uid_t real, uid_t effective, uid_t saved) {
  return become_user(call,
                     set_three(users(present(call)), real, effective, saved, may_be_any(call)));
}

Outcome sys_setresgid(Call& call, gid_t real, gid_t effective, gid_t saved) {
  return become_group(call,
                      set_three(groups(present(call)), real, effective, saved, may_be_any(call)));
}

Outcome sys_setfsuid(Call& call, uid_t uid) {
  return set_file_system_id(call, users(present(call)), uid, with_users);
}

Outcome sys_setfsgid(Call& call, gid_t gid) {
  return set_file_system_id(call, groups(present(call)), gid, with_groups);
}

Outcome sys_setgroups(Call& call, int count, Addr<gid_t> list) {
  constexpr int kMost = 65536;  // NGROUPS_MAX
  if (!may_be_any(call)) return Outcome::error(EPERM);
  if (count < 0 || count > kMost) return Outcome::error(EINVAL);
  Credentials wanted = present(call);
  wanted.groups.resize(static_cast<size_t>(count));
  const size_t size = wanted.groups.size() * sizeof(gid_t);
  const Result<void> read =
      size == 0 ? Result<void>() : call.memory().read(list.value, wanted.groups.data(), size);
  if (!read.ok()) return Outcome::error(read.error());
  if (std::find(wanted.groups.begin(), wanted.groups.end(), kStays) != wanted.groups.end())
    return Outcome::error(EINVAL);
  std::sort(wanted.groups.begin(), wanted.groups.end());
  return become(call, wanted);
}

}  // namespace viewsh
