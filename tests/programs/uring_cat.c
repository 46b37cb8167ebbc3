// uring_cat FILE: opens and reads FILE through io_uring alone, and prints it; or says why it could
// not: "setup: ERROR", "open: ERROR".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ring;
static struct io_uring_params params;
static char* submit_ring;
static char* complete_ring;
static struct io_uring_sqe* entries;

static int submit(const struct io_uring_sqe* what) {
  unsigned* tail = (unsigned*)(submit_ring + params.sq_off.tail);
  unsigned mask = *(unsigned*)(submit_ring + params.sq_off.ring_mask);
  unsigned index = *tail & mask;
  entries[index] = *what;
  ((unsigned*)(submit_ring + params.sq_off.array))[index] = index;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return -errno;
  unsigned* head = (unsigned*)(complete_ring + params.cq_off.head);
  unsigned cq_mask = *(unsigned*)(complete_ring + params.cq_off.ring_mask);
  struct io_uring_cqe* done = (struct io_uring_cqe*)(complete_ring + params.cq_off.cqes);
  int result = done[*head & cq_mask].res;
  __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
  return result;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  ring = (int)syscall(SYS_io_uring_setup, 4, &params);
  if (ring < 0) {
    printf("setup: %s\n", strerrorname_np(errno));
    return 0;
  }
  size_t submit_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
  size_t complete_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  submit_ring =
      mmap(NULL, submit_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  complete_ring =
      mmap(NULL, complete_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  entries = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                 MAP_SHARED, ring, IORING_OFF_SQES);
  if (submit_ring == MAP_FAILED || complete_ring == MAP_FAILED || entries == MAP_FAILED) return 3;
  struct io_uring_sqe open_it = {.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD};
  open_it.addr = (unsigned long)argv[1];
  open_it.open_flags = O_RDONLY;
  int fd = submit(&open_it);
  if (fd < 0) {
    printf("open: %s\n", strerrorname_np(-fd));
    return 0;
  }
  char text[4096];
  struct io_uring_sqe read_it = {.opcode = IORING_OP_READ, .fd = fd};
  read_it.addr = (unsigned long)text;
  read_it.len = sizeof(text);
  int n = submit(&read_it);
  return n < 0 || fwrite(text, 1, (size_t)n, stdout) != (size_t)n;
}
