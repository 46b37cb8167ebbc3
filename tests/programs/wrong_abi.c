// A plugin whose entry tells of an ABI that is not ours: it must be refused with a sentence.
#include <stdint.h>
#include <stdlib.h>

struct entry {
  uint32_t abi;
  uint32_t size;
  const char* build_tag;
  const char* name;
  const char* version;
  const char* description;
  const char* provides;
  void* (*create)(void*);
};

static void* create(void* host) {
  (void)host;
  abort();  // nothing of it may be called
}

static const struct entry the_entry = {
    9999, sizeof(struct entry), "libstdc++-cxx11", "wrong_abi", "1", "of another time", "", create};

__attribute__((visibility("default"))) const void* viewsh_plugin_entry(void) { return &the_entry; }
