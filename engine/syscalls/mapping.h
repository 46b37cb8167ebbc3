#pragma once

#include "syscalls/task.h"

namespace viewsh {

/// /proc/PID/mem of a task; -1: it can't be opened.
int memory_of(Task& task);

/// The mmap(2) that gives a task memory of ours: `code` for stubs (readable, executable; written by
/// the engine alone), else for large texts. Writes number and arguments into `regs`.
void ask_for_memory(Registers* regs, size_t size, bool code);

/// Do the task's own filters let it make that call, now that it stands at `regs`?
bool may_ask_for_memory(const Task& task, const Registers& regs, size_t size, bool code);

/// The same of a call as it stands in `regs`, made from `instruction`.
bool may_call(const Task& task, const Registers& regs, uint64_t instruction);

/// Are newfstatat(2) of an empty path and fstat(2), made at `site`, the same to the task's own
/// filters?
bool may_shorten_fstat(const Task& task, const Registers& regs, const CallSite& site);

}  // namespace viewsh
