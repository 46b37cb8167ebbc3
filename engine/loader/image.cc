#include "loader/image.h"

#include <elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "loader/system.h"

namespace viewsh::loader {

namespace {

constexpr uint64_t kMaxHeaders = 65536 / sizeof(Elf64_Phdr);  // fs/binfmt_elf.c, load_elf_phdrs

/// One file is read at a time.
Elf64_Ehdr header;
Elf64_Phdr table[kMaxHeaders];

uint64_t check(long result) {
  if (failed(result)) die();
  return static_cast<uint64_t>(result);
}

void read_at(uint64_t fd, void* to, uint64_t size, uint64_t offset) {
  uint64_t n = check(system_call(SYS_pread64, fd, address_of(to), size, offset));
  if (n != size) die();
}

void read_headers(uint64_t fd) {
  read_at(fd, &header, sizeof header, 0);
  bool elf = header.e_ident[0] == ELFMAG0 && header.e_ident[1] == ELFMAG1 &&
             header.e_ident[2] == ELFMAG2 && header.e_ident[3] == ELFMAG3;
  if (!elf || header.e_machine != EM_X86_64) die();
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) die();
  if (header.e_phentsize != sizeof(Elf64_Phdr)) die();
  if (header.e_phnum == 0 || header.e_phnum > kMaxHeaders) die();
  read_at(fd, table, header.e_phnum * sizeof(Elf64_Phdr), header.e_phoff);
}

/// The addresses that the PT_LOAD segments take, as the file has them.
struct Extent {
  uint64_t begin = ~uint64_t{0};
  uint64_t end = 0;
  uint64_t alignment = kPageSize;
};

Extent measure() {
  Extent out;
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    const Elf64_Phdr& entry = table[i];
    if (entry.p_type != PT_LOAD) continue;
    uint64_t end = entry.p_vaddr + entry.p_memsz;
    if (entry.p_filesz > entry.p_memsz || end < entry.p_vaddr || end > kPageSize << 35) die();
    if (page_floor(entry.p_vaddr) < out.begin) out.begin = page_floor(entry.p_vaddr);
    if (page_ceil(end) > out.end) out.end = page_ceil(end);
    bool power = entry.p_align != 0 && (entry.p_align & (entry.p_align - 1)) == 0;
    if (power && entry.p_align > out.alignment) out.alignment = entry.p_align;
  }
  if (out.begin >= out.end) die();
  return out;
}

uint64_t reserve(uint64_t at, uint64_t size, uint64_t flags) {
  flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  return check(system_call(SYS_mmap, at, size, PROT_NONE, flags, ~uint64_t{0}));
}

void unmap(uint64_t begin, uint64_t end) {
  if (begin < end) check(system_call(SYS_munmap, begin, end - begin));
}

/// Takes the addresses for all segments at once, so that nothing else comes between them.
uint64_t take_place(const Extent& extent, uint64_t hint) {
  uint64_t size = extent.end - extent.begin;
  if (header.e_type == ET_EXEC) {
    if (reserve(extent.begin, size, MAP_FIXED_NOREPLACE) != extent.begin) die();
    return extent.begin;
  }
  uint64_t mask = extent.alignment - 1;
  uint64_t at = reserve(hint & ~mask, size, 0);
  if ((at & mask) == 0) return at;
  unmap(at, at + size);
  uint64_t wide = reserve(0, size + extent.alignment, 0);
  at = (wide + mask) & ~mask;
  unmap(wide, at);
  unmap(at + size, wide + size + extent.alignment);
  return at;
}

/// Gives back a place that no segment covers.
void free_gap(uint64_t bias, const Extent& extent) {
  uint64_t from = extent.begin;
  while (from < extent.end) {
    uint64_t next = extent.end;
    uint64_t covered = 0;
    for (uint64_t i = 0; i < header.e_phnum; ++i) {
      if (table[i].p_type != PT_LOAD || table[i].p_memsz == 0) continue;
      uint64_t begin = page_floor(table[i].p_vaddr);
      uint64_t end = page_ceil(table[i].p_vaddr + table[i].p_memsz);
      if (begin <= from && end > from && end > covered) covered = end;
      if (begin > from && begin < next) next = begin;
    }
    if (covered == 0) unmap(bias + from, bias + next);
    from = covered != 0 ? covered : next;
  }
}

void map_segment(uint64_t fd, const Elf64_Phdr& entry, uint64_t bias) {
  uint64_t protection = ((entry.p_flags & PF_R) != 0 ? PROT_READ : 0U) |
                        ((entry.p_flags & PF_W) != 0 ? PROT_WRITE : 0U) |
                        ((entry.p_flags & PF_X) != 0 ? PROT_EXEC : 0U);
  uint64_t at = bias + entry.p_vaddr;
  uint64_t before = at % kPageSize;
  uint64_t file_end = at - before;
  if (entry.p_filesz != 0) {
    check(system_call(SYS_mmap, at - before, before + entry.p_filesz, protection,
                      MAP_PRIVATE | MAP_FIXED, fd, entry.p_offset - before));
    file_end = page_ceil(at + entry.p_filesz);
  }
  if (entry.p_memsz <= entry.p_filesz) return;
  uint64_t zero_begin = at + entry.p_filesz;
  if (entry.p_filesz != 0 && (entry.p_flags & PF_W) != 0) zero(zero_begin, file_end - zero_begin);
  uint64_t end = page_ceil(at + entry.p_memsz);
  if (end <= file_end) return;
  uint64_t anonymous = PROT_READ | PROT_WRITE | (protection & PROT_EXEC);
  check(system_call(SYS_mmap, file_end, end - file_end, anonymous,
                    MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, ~uint64_t{0}));
}

/// What the kernel keeps about a segment for /proc/PID/stat and the auxiliary vector.
void note_segment(const Elf64_Phdr& entry, Image* image) {
  uint64_t at = image->bias + entry.p_vaddr;
  uint64_t file_end = at + entry.p_filesz;
  bool code = (entry.p_flags & PF_X) != 0;
  if (code && (image->code_begin == 0 || at < image->code_begin)) image->code_begin = at;
  if (code && file_end > image->code_end) image->code_end = file_end;
  if (at > image->data_begin) image->data_begin = at;
  if (file_end > image->data_end) image->data_end = file_end;
  if (at + entry.p_memsz > image->end) image->end = at + entry.p_memsz;
  if (entry.p_offset <= header.e_phoff && header.e_phoff < entry.p_offset + entry.p_filesz) {
    image->headers = at + (header.e_phoff - entry.p_offset);
  }
}

}  // namespace

Image map_image(const char* path, uint64_t hint) {
  auto cwd = static_cast<uint64_t>(AT_FDCWD);
  uint64_t fd = check(system_call(SYS_openat, cwd, address_of(path), O_RDONLY | O_CLOEXEC));
  read_headers(fd);
  Extent extent = measure();
  Image image;
  image.bias = take_place(extent, hint) - extent.begin;
  image.entry = image.bias + header.e_entry;
  image.header_count = header.e_phnum;
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    const Elf64_Phdr& entry = table[i];
    if (entry.p_type == PT_GNU_STACK) image.executable_stack = (entry.p_flags & PF_X) != 0;
    if (entry.p_type != PT_LOAD || entry.p_memsz == 0) continue;
    map_segment(fd, entry, image.bias);
    note_segment(entry, &image);
  }
  free_gap(image.bias, extent);
  system_call(SYS_close, fd);
  return image;
}

}  // namespace viewsh::loader
