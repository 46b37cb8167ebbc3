#include "tracee/own_filter.h"

#include <cstring>

namespace viewsh {

namespace {

/// The machine of a classic BPF program as seccomp lets it be: seccomp_check_filter() of
/// kernel/seccomp.c.
struct Machine {
  uint32_t a = 0;
  uint32_t x = 0;
  uint32_t memory[BPF_MEMWORDS] = {};
};

uint32_t load_word(const seccomp_data& call, uint32_t offset) {
  uint32_t word = 0;
  if (offset <= sizeof call - sizeof word) {
    memcpy(&word, reinterpret_cast<const char*>(&call) + offset, sizeof word);
  }
  return word;
}

void load(const sock_filter& one, const seccomp_data& call, Machine* machine) {
  uint32_t value = 0;
  switch (BPF_MODE(one.code)) {
    case BPF_ABS:
      value = load_word(call, one.k);
      break;
    case BPF_IMM:
      value = one.k;
      break;
    case BPF_MEM:
      value = machine->memory[one.k % BPF_MEMWORDS];
      break;
    case BPF_LEN:
      value = sizeof call;
      break;
    default:
      break;
  }
  (BPF_CLASS(one.code) == BPF_LD ? machine->a : machine->x) = value;
}

/// False: a division by zero, which ends the program with 0.
bool compute(const sock_filter& one, Machine* machine) {
  uint32_t operand = BPF_SRC(one.code) == BPF_X ? machine->x : one.k;
  uint32_t& a = machine->a;
  switch (BPF_OP(one.code)) {
    case BPF_ADD:
      a += operand;
      break;
    case BPF_SUB:
      a -= operand;
      break;
    case BPF_MUL:
      a *= operand;
      break;
    case BPF_DIV:
      if (operand == 0) return false;
      a /= operand;
      break;
    case BPF_AND:
      a &= operand;
      break;
    case BPF_OR:
      a |= operand;
      break;
    case BPF_XOR:
      a ^= operand;
      break;
    case BPF_LSH:
      a <<= operand & 31U;
      break;
    case BPF_RSH:
      a >>= operand & 31U;
      break;
    case BPF_NEG:
      a = 0 - a;
      break;
    default:
      break;
  }
  return true;
}

/// How many instructions to leave out.
uint32_t jump_distance(const sock_filter& one, const Machine& machine) {
  uint32_t operand = BPF_SRC(one.code) == BPF_X ? machine.x : one.k;
  bool yes = false;
  switch (BPF_OP(one.code)) {
    case BPF_JA:
      return one.k;
    case BPF_JEQ:
      yes = machine.a == operand;
      break;
    case BPF_JGT:
      yes = machine.a > operand;
      break;
    case BPF_JGE:
      yes = machine.a >= operand;
      break;
    case BPF_JSET:
      yes = (machine.a & operand) != 0;
      break;
    default:
      break;
  }
  return yes ? one.jt : one.jf;
}

}  // namespace

uint32_t run_filter(const std::vector<sock_filter>& program, const seccomp_data& call) {
  Machine machine;
  for (size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& one = program[pc];
    switch (BPF_CLASS(one.code)) {
      case BPF_LD:
      case BPF_LDX:
        load(one, call, &machine);
        break;
      case BPF_ST:
        machine.memory[one.k % BPF_MEMWORDS] = machine.a;
        break;
      case BPF_STX:
        machine.memory[one.k % BPF_MEMWORDS] = machine.x;
        break;
      case BPF_ALU:
        if (!compute(one, &machine)) return SECCOMP_RET_KILL_THREAD;
        break;
      case BPF_JMP:
        pc += jump_distance(one, machine);
        break;
      case BPF_RET:
        return BPF_RVAL(one.code) == BPF_A ? machine.a : one.k;
      default:
        if (BPF_MISCOP(one.code) == BPF_TAX) machine.x = machine.a;
        if (BPF_MISCOP(one.code) == BPF_TXA) machine.a = machine.x;
    }
  }
  return SECCOMP_RET_KILL_THREAD;  // the kernel takes no program without a return at its end
}

bool allowed_by(const OwnFilters& filters, const seccomp_data& call) {
  for (const OwnFilter* filter = filters.get(); filter != nullptr; filter = filter->before.get()) {
    switch (run_filter(filter->program, call) & SECCOMP_RET_ACTION_FULL) {
      case SECCOMP_RET_ALLOW:
      case SECCOMP_RET_LOG:
      case SECCOMP_RET_TRACE:
        break;  // asked the second time, it lets the call run
      default:
        return false;
    }
  }
  return true;
}

}  // namespace viewsh
