// Runs in the processes of a view, copied there: no data, no library, nothing outside its section.
// A call that looks a name up is made natively; its result holds if the tables say that the view
// has nothing else to say of this name. Else the call is made once more, with a stop.
//
// The kernel reads the path first, so that a bad pointer is its to refuse. No lock is needed: a
// call that overlaps a change of the view may see what was before.
#include "tracee/lookup_code.h"

namespace viewsh::in_process {

namespace {

struct Call {
  long dir = AT_FDCWD;
  const char* path = nullptr;
};

IN_LOOKUP bool find(const LookupTable* table, uint64_t key, uint64_t* path) {
  for (size_t i = 0; i < LookupTable::kProbes; ++i) {
    const volatile LookupTable::Entry* entry = &table->entries[LookupTable::slot(key, i)];
    const uint64_t round = entry->round;
    if (entry->key != key || round != *const_cast<const volatile uint64_t*>(&table->round))
      continue;
    *path = entry->path;
    if (entry->key == key && entry->round == round) return true;
  }
  return false;
}

IN_LOOKUP bool find_opened(const Tables& t, uint64_t key, uint64_t* path) {
  if (find(t.table, key, path)) return true;
  for (size_t i = 0; i < LookupCache::kProbes; ++i) {
    const volatile LookupCache::Entry* entry = &t.cache->entries[LookupCache::slot(key, i)];
    const uint64_t found = entry->path;
    if (entry->key != key || entry->round != t.round) continue;
    if (entry->check != LookupCache::sum(t.round, key, found)) continue;
    *path = found;
    return true;
  }
  return false;
}

INLINE_IN_LOOKUP bool is_marked(const uint8_t* bits, uint64_t path) {
  return has_bit(bits, LookupTable::first_bit(path)) &&
         has_bit(bits, LookupTable::second_bit(path));
}

/// The hash of the path of an open directory in which nothing but marked names is the view's.
IN_LOOKUP bool find_descriptor(const Tables& t, long fd, uint64_t* path) {
  struct stat st;
  return native_fstat(fd, &st) == 0 && find_opened(t, directory_key(st.st_dev, st.st_ino), path);
}

/// Everything below the directory at `path` is the host's, but for marked names.
IN_LOOKUP void remember(const Tables& t, uint64_t key, uint64_t path) {
  size_t probe = 0;
  if (t.cache->entries[LookupCache::slot(key, 0)].round == t.round) probe = key >> 32 & 1;
  volatile LookupCache::Entry* entry = &t.cache->entries[LookupCache::slot(key, probe)];
  entry->round = 0;
  entry->key = key;
  entry->path = path;
  entry->check = LookupCache::sum(t.round, key, path);
  entry->round = t.round;
}

/// A path that is followed by its text, to see that no link is on the way.
struct Reach {
  static constexpr size_t kLongest = 256;
  static constexpr size_t kDeepest = 32;
  char prefix[kLongest];     ///< as far as it was followed, `size` bytes
  uint64_t above[kDeepest];  ///< the directories on the way
  size_t size;
  size_t depth;
  uint32_t known_above;  ///< a bit for each of them
  uint64_t dir;          ///< where it is
  bool known;            ///< in `dir` nothing but marked names is the view's
};

/// Appends the next component, with the slashes in front of it. Returns its length, -1: too long.
IN_LOOKUP long next_component(const char* path, Reach* at, uint64_t* hash) {
  size_t start = at->size;
  size_t size = start;
  for (; path[size] == '/' && size < Reach::kLongest - 1; ++size, ++start) at->prefix[size] = '/';
  *hash = extend(at->dir, '/');
  for (; path[size] != '\0' && path[size] != '/' && size < Reach::kLongest - 1; ++size) {
    at->prefix[size] = path[size];
    *hash = extend(*hash, path[size]);
  }
  at->size = size;
  at->prefix[size] = '\0';
  return size == Reach::kLongest - 1 ? -1 : static_cast<long>(size - start);
}

/// Goes on to the directory with this hash: that it is none but a directory is looked at natively,
/// once. 0, or an error of lstat(2), or 1: it can't be told.
IN_LOOKUP long enter(const Tables& t, const Call& call, Reach* at, uint64_t hash) {
  if (at->depth == Reach::kDeepest) return 1;
  const uint32_t bit = uint32_t{1} << at->depth;
  at->known_above = at->known ? at->known_above | bit : at->known_above & ~bit;
  at->above[at->depth++] = at->dir;
  at->dir = hash;
  uint64_t ignored = 0;
  if (find_opened(t, hash, &ignored)) {
    at->known = true;
  } else if (at->known) {
    if (is_marked(t.table->names, hash)) return 1;
    struct stat st;
    const long result = native(SYS_newfstatat, call.dir, reinterpret_cast<long>(at->prefix),
                               reinterpret_cast<long>(&st), AT_SYMLINK_NOFOLLOW);
    if (result != 0) return result;
    if (!S_ISDIR(st.st_mode) || !is_shown(t.table, st.st_ino)) return 1;
    remember(t, hash, hash);
  }
  return 0;
}

/// Does the path lead by directories that nobody marked, and through no link, from one that is
/// known? `known`: that with the hash `base`, where it starts, is one. `result`: of the native
/// call; where a directory on the way is missing, it says so.
IN_LOOKUP bool is_reached(const Tables& t, const Call& call, uint64_t base, bool known, long result,
                          HashedName* out) {
  Reach at;
  at.size = at.depth = 0;
  at.known_above = 0;
  at.dir = base;
  uint64_t hash = 0;
  at.known = known || find_opened(t, base, &hash);
  while (true) {
    const long length = next_component(call.path, &at, &hash);
    if (length < 0) return false;
    const bool end = call.path[at.size] == '\0';
    const char* part = at.prefix + at.size - length;
    const bool here = length == 0 || (length == 1 && part[0] == '.');
    const bool up = length == 2 && part[0] == '.' && part[1] == '.';
    if (up) {
      if (!at.known || at.depth == 0) return false;
      at.dir = at.above[--at.depth];
      at.known = (at.known_above >> at.depth & 1) != 0;
    } else if (end && !here) {
      *out = {at.dir, hash, false};
      return at.known;
    } else if (!here) {
      const long entered = enter(t, call, &at, hash);
      if (entered != 0) {
        *out = {at.dir, at.dir, true};
        return entered == -ENOENT && result == -ENOENT;
      }
    }
    if (end) {
      *out = {at.dir, at.dir, true};
      return at.known && at.size != 0;
    }
  }
}

/// Is the name in a directory that is known, and not marked? Its path is readable. `name`: its
/// hash. `result`: of the native call.
IN_LOOKUP bool is_plain(const Tables& t, const Call& call, long result, uint64_t* name) {
  uint64_t base = kNoPath;
  bool known = false;
  if (call.path[0] != '/') {
    known = static_cast<int>(call.dir) != AT_FDCWD;
    if (known && !find_descriptor(t, call.dir, &base)) return false;
    if (!known) base = t.data->cwd;
    if (base == 0) return false;
  }
  HashedName hashed;
  uint64_t dir = 0;
  const bool straight = hash_path(call.path, base, &hashed);
  const bool open = straight && known && hashed.dir == base && !hashed.whole;
  if (!open && !(straight && find_opened(t, hashed.dir, &dir)) &&
      !is_reached(t, call, base, known, result, &hashed)) {
    return false;
  }
  *name = hashed.name;
  return !is_marked(t.table->names, hashed.name);
}

/// lstat(2) into `found`. 0 or an error that may be told; 1: stop. `name`: the path's hash.
IN_LOOKUP long look(const Tables& t, const Call& call, bool follow, uint64_t* name) {
  struct stat* st = &t.found->stat;
  const long result = native(SYS_newfstatat, call.dir, reinterpret_cast<long>(call.path),
                             reinterpret_cast<long>(st), AT_SYMLINK_NOFOLLOW);
  if (result == -EFAULT) return result;
  if (result != 0 && result != -ENOENT) return 1;
  if (result == 0 && ((follow && S_ISLNK(st->st_mode)) || !is_shown(t.table, st->st_ino))) return 1;
  return is_plain(t, call, result, name) ? result : 1;
}

IN_LOOKUP Answer fstat_of(const Tables& t, const Call& call, long buffer) {
  struct stat* st = &t.found->stat;
  const long result = native(SYS_newfstatat, call.dir, reinterpret_cast<long>(call.path),
                             reinterpret_cast<long>(st), AT_EMPTY_PATH);
  const bool empty = result == 0 && call.path != nullptr && call.path[0] == '\0';
  if (!empty || !is_shown(t.table, st->st_ino)) return kStop;
  t.found->to = buffer;
  return {0, sizeof *st};
}

IN_LOOKUP Answer stat_at(const Tables& t, const Call& call, long buffer, long flags) {
  constexpr long kKnown = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (flags == AT_EMPTY_PATH && static_cast<int>(call.dir) != AT_FDCWD) {
    return fstat_of(t, call, buffer);
  }
  if ((flags & ~kKnown) != 0) return kStop;
  uint64_t name = 0;
  const long result = look(t, call, (flags & AT_SYMLINK_NOFOLLOW) == 0, &name);
  if (result == 1) return kStop;
  t.found->to = buffer;
  return {result, result == 0 ? static_cast<long>(sizeof(struct stat)) : 0};
}

IN_LOOKUP Answer statx_at(const Tables& t, const Call& call, long flags, long mask, long buffer) {
  constexpr long kKnown = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
  if ((flags & ~kKnown) != 0) return kStop;
  struct statx* stx = &t.found->statx;
  const long result =
      native(SYS_statx, call.dir, reinterpret_cast<long>(call.path), flags | AT_SYMLINK_NOFOLLOW,
             mask | STATX_TYPE | STATX_INO, reinterpret_cast<long>(stx));
  if (result == -EFAULT) return {result, 0};
  if (result != 0 && result != -ENOENT) return kStop;
  if (result == 0) {
    if ((flags & AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(stx->stx_mode)) return kStop;
    if (!is_shown(t.table, stx->stx_ino)) return kStop;
  }
  uint64_t name = 0;
  if (!is_plain(t, call, result, &name)) return kStop;
  t.found->to = buffer;
  return {result, result == 0 ? static_cast<long>(sizeof *stx) : 0};
}

IN_LOOKUP Answer open_at(const Tables& t, const Call& call, long flags, long mode) {
  if ((static_cast<uint32_t>(flags) & kNoNativeOpen) != 0) return kStop;
  uint64_t name = 0;
  const long found = look(t, call, true, &name);
  if (found == 1) return kStop;
  if (found < 0) return {found, 0};
  const mode_t type = t.found->stat.st_mode & S_IFMT;
  if (type != S_IFREG && type != S_IFDIR) return kStop;
  const long result = native(SYS_openat, call.dir, reinterpret_cast<long>(call.path), flags, mode);
  if (result < 0) return kStop;
  if (type == S_IFDIR) {
    remember(t, directory_key(t.found->stat.st_dev, t.found->stat.st_ino), name);
  }
  return {result, 0};
}

IN_LOOKUP Answer access_at(const Tables& t, const Call& call, long mode) {
  // Of writing the view has its own opinion.
  if ((mode & ~5L) != 0) return kStop;
  uint64_t name = 0;
  const long found = look(t, call, true, &name);
  if (found == 1) return kStop;
  if (found < 0) return {found, 0};
  const long result = native(SYS_faccessat, call.dir, reinterpret_cast<long>(call.path), mode);
  return result == 0 || result == -EACCES ? Answer{result, 0} : kStop;
}

IN_LOOKUP Answer readlink_at(const Tables& t, const Call& call, long buffer, long size) {
  constexpr long kLongest = sizeof t.found->text;
  if (size <= 0) return kStop;
  const long result = native(SYS_readlinkat, call.dir, reinterpret_cast<long>(call.path),
                             reinterpret_cast<long>(t.found->text), kLongest);
  if (result == -EFAULT) return {result, 0};
  if (result >= kLongest || (result < 0 && result != -ENOENT && result != -EINVAL)) return kStop;
  uint64_t name = 0;
  if (!is_plain(t, call, result, &name)) return kStop;
  const long copied = result < size ? result : size;
  // One byte would be taken for a stop.
  if (copied == 1) return kStop;
  t.found->to = buffer;
  return result < 0 ? Answer{result, 0} : Answer{copied, copied};
}

/// getxattr(2) and its kin: what was found has the attributes that the host says it has.
IN_LOOKUP Answer attribute_of(const Tables& t, long nr, const Arguments& a, bool follow) {
  uint64_t name = 0;
  const Call call{AT_FDCWD, reinterpret_cast<const char*>(a.a0)};
  const long found = look(t, call, follow, &name);
  if (found == 1) return kStop;
  if (found < 0) return {found, 0};
  const long result = native(nr, a.a0, a.a1, a.a2, a.a3);
  return result >= 0 || result == -ENODATA || result == -EOPNOTSUPP ? Answer{result, 0} : kStop;
}

/// The lists of directories with marked names are the view's to make.
IN_LOOKUP Answer list(const Tables& t, long fd, long buffer, long size) {
  uint64_t path = 0;
  if (!find_descriptor(t, fd, &path) || is_marked(t.table->lists, path)) return kStop;
  const long result = native(SYS_getdents64, fd, buffer, size);
  return result >= 0 ? Answer{result, 0} : kStop;
}

INLINE_IN_LOOKUP const char* text(long pointer) { return reinterpret_cast<const char*>(pointer); }

}  // namespace

extern "C" IN_LOOKUP __attribute__((used, visibility("hidden"))) Answer viewsh_lookup_call(
    const Arguments* a, const LookupData* data, const LookupTable* table, Found* found) {
  if (data->enabled == 0) return kStop;
  auto* behind = const_cast<char*>(reinterpret_cast<const char*>(table)) + kLookupTableSize;
  const Tables t{table, reinterpret_cast<LookupCache*>(behind), data, found,
                 *const_cast<const volatile uint64_t*>(&table->round)};
  if (data->answers != 0) {
    const Answer known = answer_by_heart(t, *a);
    if (known.copied != kStop.copied) return known;
  }
  if (data->native == 0) return kStop;
  const long nr = a->nr;
  if (nr == SYS_newfstatat) return stat_at(t, {a->a0, text(a->a1)}, a->a2, a->a3);
  if (nr == SYS_openat) return open_at(t, {a->a0, text(a->a1)}, a->a2, a->a3);
  if (nr == SYS_statx) return statx_at(t, {a->a0, text(a->a1)}, a->a2, a->a3, a->a4);
  if (nr == SYS_access) return access_at(t, {AT_FDCWD, text(a->a0)}, a->a1);
  if (nr == SYS_faccessat) return access_at(t, {a->a0, text(a->a1)}, a->a2);
  if (nr == SYS_readlink) return readlink_at(t, {AT_FDCWD, text(a->a0)}, a->a1, a->a2);
  if (nr == SYS_readlinkat) return readlink_at(t, {a->a0, text(a->a1)}, a->a2, a->a3);
  if (nr == SYS_stat) return stat_at(t, {AT_FDCWD, text(a->a0)}, a->a1, 0);
  if (nr == SYS_lstat) {
    return stat_at(t, {AT_FDCWD, text(a->a0)}, a->a1, AT_SYMLINK_NOFOLLOW);
  }
  if (nr == SYS_lgetxattr || nr == SYS_llistxattr) return attribute_of(t, nr, *a, false);
  if (nr == SYS_getxattr || nr == SYS_listxattr) return attribute_of(t, nr, *a, true);
  if (nr == SYS_getdents64) return list(t, a->a0, a->a1, a->a2);
  if (nr == SYS_open) return open_at(t, {AT_FDCWD, text(a->a0)}, a->a1, a->a2);
  return kStop;
}

}  // namespace viewsh::in_process
