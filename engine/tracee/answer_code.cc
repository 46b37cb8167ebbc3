// The part of the code in processes that knows answers by heart: lookup_code.cc tells of the rest.
// It makes no call but fstat(2) of what is open already. The text of a path is taken before any
// call, by code whose faults the engine turns into a failure.
#include "tracee/lookup_code.h"

extern "C" __attribute__((visibility("hidden"))) long viewsh_lookup_fetch(char* to,
                                                                          const char* from,
                                                                          long most);

namespace viewsh::in_process {

namespace {

/// What a call asks for.
struct Asked {
  uint64_t dev;
  uint64_t ino;
  char text[AnswerTable::kTextSize];
  size_t size;
};

INLINE_IN_LOOKUP void copy_words(void* to, const void* from, size_t words) {
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

INLINE_IN_LOOKUP void clear_words(void* to, size_t words) {
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0L) : "memory");
}

INLINE_IN_LOOKUP uint64_t now(const uint64_t* word) {
  return *const_cast<const volatile uint64_t*>(word);
}

IN_LOOKUP bool is_text(const AnswerTable::Entry* entry, const Asked& asked) {
  for (size_t i = 0; i < asked.size; ++i) {
    if (const_cast<const volatile char*>(entry->text)[i] != asked.text[i]) return false;
  }
  return true;
}

/// The attributes go to Found::statx. False: there is none.
IN_LOOKUP bool find_answer(const Tables& t, const Asked& asked, long* result) {
  const auto* table = reinterpret_cast<const AnswerTable*>(t.data->answers);
  const uint64_t hash = hash_of_text(asked.text, asked.size);
  for (size_t i = 0; i < AnswerTable::kProbes; ++i) {
    const AnswerTable::Entry* entry =
        &table->entries[AnswerTable::slot(asked.dev, asked.ino, hash, i)];
    const uint64_t version = now(&entry->version);
    if ((version & 1) != 0 || now(&entry->round) != t.round) continue;
    if (now(&entry->dev) != asked.dev || now(&entry->ino) != asked.ino) continue;
    if (*const_cast<const volatile uint32_t*>(&entry->size) != asked.size) continue;
    if (!is_text(entry, asked)) continue;
    *result = *const_cast<const volatile int32_t*>(&entry->result);
    constexpr size_t kWords = AnswerTable::kAttrSize / 8;
    copy_words(&t.found->statx, entry->attr, kWords);
    clear_words(reinterpret_cast<uint64_t*>(&t.found->statx) + kWords,
                sizeof(struct statx) / 8 - kWords);
    return now(&entry->version) == version;
  }
  return false;
}

/// Which object is open there; for AT_FDCWD the directory that the engine told of.
IN_LOOKUP bool find_object(const Tables& t, long fd, Asked* asked) {
  if (static_cast<int>(fd) == AT_FDCWD) {
    asked->ino = now(&t.data->cwd_ino);
    asked->dev = now(&t.data->cwd_dev);
    return asked->ino != 0 && now(&t.data->cwd_ino) == asked->ino;
  }
  struct stat st;
  if (native_fstat(fd, &st) != 0) return false;
  asked->dev = st.st_dev;
  asked->ino = st.st_ino;
  return true;
}

/// 0 or an error that may be told; 1: stop.
IN_LOOKUP long look_up(const Tables& t, long dir, long path, bool follow) {
  Asked asked;
  clear_words(asked.text, sizeof asked.text / 8);
  const long size = viewsh_lookup_fetch(asked.text, reinterpret_cast<const char*>(path),
                                        static_cast<long>(sizeof asked.text));
  if (size <= 0 || asked.text[0] == '/') return 1;
  asked.size = static_cast<size_t>(size);
  long result = 0;
  if (!find_object(t, dir, &asked) || !find_answer(t, asked, &result)) return 1;
  if (result == 0 && follow && S_ISLNK(t.found->statx.stx_mode)) return 1;
  return result;
}

/// makedev(3)
INLINE_IN_LOOKUP uint64_t device(uint64_t major, uint64_t minor) {
  return (major & 0xfff) << 8 | (major & ~0xfffUL) << 32 | (minor & 0xff) | (minor & ~0xffUL) << 12;
}

/// Found::statx becomes Found::stat: both are in the same place.
IN_LOOKUP void make_stat(Found* found) {
  struct statx from;
  copy_words(&from, &found->statx, sizeof from / 8);
  struct stat* to = &found->stat;
  clear_words(to, sizeof *to / 8);
  to->st_dev = device(from.stx_dev_major, from.stx_dev_minor);
  to->st_rdev = device(from.stx_rdev_major, from.stx_rdev_minor);
  to->st_ino = from.stx_ino;
  to->st_mode = from.stx_mode;
  to->st_nlink = from.stx_nlink;
  to->st_uid = from.stx_uid;
  to->st_gid = from.stx_gid;
  to->st_size = static_cast<long>(from.stx_size);
  to->st_blksize = static_cast<long>(from.stx_blksize);
  to->st_blocks = static_cast<long>(from.stx_blocks);
  to->st_atim.tv_sec = from.stx_atime.tv_sec;
  to->st_atim.tv_nsec = static_cast<long>(from.stx_atime.tv_nsec);
  to->st_mtim.tv_sec = from.stx_mtime.tv_sec;
  to->st_mtim.tv_nsec = static_cast<long>(from.stx_mtime.tv_nsec);
  to->st_ctim.tv_sec = from.stx_ctime.tv_sec;
  to->st_ctim.tv_nsec = static_cast<long>(from.stx_ctime.tv_nsec);
}

IN_LOOKUP Answer give_stat(const Tables& t, long result, long buffer) {
  if (result != 0) return {result, 0};
  make_stat(t.found);
  t.found->to = buffer;
  return {0, sizeof(struct stat)};
}

IN_LOOKUP Answer fstat_by_heart(const Tables& t, long fd, long buffer) {
  struct stat st;
  const long error = native_fstat(fd, &st);
  if (error != 0) return {error, 0};
  Asked asked;
  asked.dev = st.st_dev;
  asked.ino = st.st_ino;
  asked.size = 0;
  long result = 0;
  if (is_shown(t.table, st.st_ino)) {
    copy_words(&t.found->stat, &st, sizeof st / 8);
  } else if (find_answer(t, asked, &result) && result == 0) {
    make_stat(t.found);
  } else {
    return kStop;
  }
  t.found->to = buffer;
  return {0, sizeof st};
}

/// Is it a path of no length, that can be read?
IN_LOOKUP bool is_empty(long path) {
  char byte;
  return viewsh_lookup_fetch(&byte, reinterpret_cast<const char*>(path), 1) == 0;
}

constexpr long kStatFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

IN_LOOKUP Answer stat_by_heart(const Tables& t, long dir, long path, long buffer, long flags) {
  if (flags == AT_EMPTY_PATH && static_cast<int>(dir) != AT_FDCWD) {
    return is_empty(path) ? fstat_by_heart(t, dir, buffer) : kStop;
  }
  if ((flags & ~kStatFlags) != 0) return kStop;
  const long result = look_up(t, dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0);
  return result == 1 ? kStop : give_stat(t, result, buffer);
}

IN_LOOKUP Answer statx_by_heart(const Tables& t, const Arguments& a) {
  constexpr long kFlags = kStatFlags | AT_STATX_SYNC_TYPE;
  const bool both = (a.a2 & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE;
  if ((a.a2 & ~kFlags) != 0 || both || (a.a3 & STATX__RESERVED) != 0) return kStop;
  const long result = look_up(t, a.a0, a.a1, (a.a2 & AT_SYMLINK_NOFOLLOW) == 0);
  if (result == 1) return kStop;
  t.found->to = a.a4;
  return {result, result == 0 ? static_cast<long>(sizeof(struct statx)) : 0};
}

/// Whether something is there; what may be done with it depends on who asks.
IN_LOOKUP Answer access_by_heart(const Tables& t, long dir, long path, long mode) {
  if ((static_cast<int>(mode) & ~7) != 0) return kStop;
  const long result = look_up(t, dir, path, true);
  const bool told = result == -ENOENT || (result == 0 && static_cast<int>(mode) == 0);
  return told ? Answer{result, 0} : kStop;
}

/// That there is nothing to be opened.
IN_LOOKUP Answer open_by_heart(const Tables& t, long dir, long path, long flags) {
  if ((static_cast<uint32_t>(flags) & kNoNativeOpen) != 0) return kStop;
  const long result = look_up(t, dir, path, true);
  return result == -ENOENT ? Answer{result, 0} : kStop;
}

}  // namespace

IN_LOOKUP Answer answer_by_heart(const Tables& t, const Arguments& a) {
  switch (a.nr) {
    case SYS_newfstatat:
      return stat_by_heart(t, a.a0, a.a1, a.a2, a.a3);
    case SYS_stat:
      return stat_by_heart(t, AT_FDCWD, a.a0, a.a1, 0);
    case SYS_lstat:
      return stat_by_heart(t, AT_FDCWD, a.a0, a.a1, AT_SYMLINK_NOFOLLOW);
    case SYS_fstat:
      return fstat_by_heart(t, a.a0, a.a1);
    case SYS_statx:
      return statx_by_heart(t, a);
    case SYS_access:
      return access_by_heart(t, AT_FDCWD, a.a0, a.a1);
    case SYS_faccessat:
      return access_by_heart(t, a.a0, a.a1, a.a2);
    case SYS_open:
      return open_by_heart(t, AT_FDCWD, a.a0, a.a1);
    case SYS_openat:
      return open_by_heart(t, a.a0, a.a1, a.a2);
    default:
      return kStop;
  }
}

}  // namespace viewsh::in_process
