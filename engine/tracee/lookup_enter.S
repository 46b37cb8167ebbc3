# Where the changed code of a program leads to, with the call's number in %rax and its arguments
# in their registers. Like a system call, it changes nothing but %rax, %rcx and %r11.
# In the pages that it shares with lookup_code.cc and answer_code.cc, in front of LookupData and the
# tables: lookup_patch.h.
# What the program gets is copied only here: where its buffer is none, the engine goes on at
# viewsh_lookup_stop, with the stack as it is.
  .set FOUND_SIZE, 264
  .set TEXT_SIZE, 12288
  .section viewsh_lookup, "ax", @progbits
  .globl viewsh_lookup_enter, viewsh_lookup_copy, viewsh_lookup_stop
  .hidden viewsh_lookup_enter, viewsh_lookup_copy, viewsh_lookup_stop
  .globl viewsh_lookup_fetch, viewsh_lookup_fetch_at, viewsh_lookup_fetch_failed
  .hidden viewsh_lookup_fetch, viewsh_lookup_fetch_at, viewsh_lookup_fetch_failed
  .hidden __start_viewsh_lookup
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
  lea __start_viewsh_lookup(%rip), %rsi
  lea (TEXT_SIZE + 4096)(%rsi), %rdx
  add $TEXT_SIZE, %rsi
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

# long viewsh_lookup_fetch(char *to, const char *from, long most): copies a text of the program's and
# returns its length; -1: it is longer than `most` - 1, or can't be read, in which case the engine goes
# on at viewsh_lookup_fetch_failed.
  .type viewsh_lookup_fetch, @function
viewsh_lookup_fetch:
  xor %eax, %eax
1:
  cmp %rdx, %rax
  jge viewsh_lookup_fetch_failed
viewsh_lookup_fetch_at:
  movb (%rsi, %rax), %cl
  movb %cl, (%rdi, %rax)
  inc %rax
  test %cl, %cl
  jne 1b
  dec %rax
  ret
viewsh_lookup_fetch_failed:
  mov $-1, %rax
  ret
  .size viewsh_lookup_fetch, . - viewsh_lookup_fetch
  .section .note.GNU-stack, "", @progbits
