# Where the changed code of a program leads to, with the call's number in %rax and its arguments
# in their registers. Like a system call, it changes nothing but %rax, %rcx and %r11.
# Begins in the first of the two pages that it shares with lookup_code.cc, in front of LookupData and
# the tables: lookup_patch.h.
# What the program gets is copied only here: where its buffer is none, the engine goes on at
# viewsh_lookup_stop, with the stack as it is.
  .set FOUND_SIZE, 264
  .section viewsh_lookup, "ax", @progbits
  .globl viewsh_lookup_enter, viewsh_lookup_copy, viewsh_lookup_stop
  .hidden viewsh_lookup_enter, viewsh_lookup_copy, viewsh_lookup_stop
  .type viewsh_lookup_enter, @function
viewsh_lookup_enter:
  push %r9
  push %r8
  push %r10
  push %rdx
  push %rsi
  push %rdi
  push %rax
  mov %rsp, %rdi
  sub $FOUND_SIZE, %rsp
  lea viewsh_lookup_enter(%rip), %rsi
  and $-4096, %rsi
  lea 12288(%rsi), %rdx
  add $8192, %rsi
  mov %rsp, %rcx
  call viewsh_lookup_call
  cmp $1, %rdx
  je viewsh_lookup_stop
  mov %rdx, %rcx
  mov (FOUND_SIZE - 8)(%rsp), %rdi
  mov %rsp, %rsi
viewsh_lookup_copy:
  rep movsb
  add $(FOUND_SIZE + 8), %rsp
  pop %rdi
  pop %rsi
  pop %rdx
  pop %r10
  pop %r8
  pop %r9
  ret
viewsh_lookup_stop:
  add $FOUND_SIZE, %rsp
  pop %rax
  pop %rdi
  pop %rsi
  pop %rdx
  pop %r10
  pop %r8
  pop %r9
  syscall
  ret
  .size viewsh_lookup_enter, . - viewsh_lookup_enter
  .section .note.GNU-stack, "", @progbits
