# multiboot 1 header, flat load at 1 MiB
.code32
.globl _start
.set BASE, 0x100000
_start:
  jmp start32
.balign 4
mb:
  .long 0x1BADB002, 0x00010000, -(0x1BADB002+0x00010000)
  .long mb, _start, _end, _bss_end, start32
start32:
  cli
  mov $stack_top, %esp
  # page tables: identity map first 1 GiB with 2 MiB pages, at 0x200000
  mov $0x200000, %edi
  xor %eax, %eax
  mov $0x3000/4, %ecx
  rep stosl
  movl $0x201007, 0x200000
  movl $0x202007, 0x201000
  mov $0x202000, %edi
  mov $0x87, %eax
  mov $512, %ecx
1: mov %eax, (%edi)
  add $0x200000, %eax
  add $8, %edi
  loop 1b
  mov $0x200000, %eax
  mov %eax, %cr3
  mov %cr4, %eax
  or $0x20, %eax
  mov %eax, %cr4
  mov $0xC0000080, %ecx
  rdmsr
  or $0x101, %eax   # LME | SCE
  wrmsr
  mov %cr0, %eax
  or $0x80000001, %eax
  mov %eax, %cr0
  lgdt gdtr
  ljmp $8, $start64
.code64
start64:
  mov $16, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov $stack_top, %rsp
  # IDT at 0x210000: vector 3 (breakpoint), 14 (page fault), 32 (timer)
  mov $0x210000, %rdi
  xor %eax,%eax
  mov $0x1000/8, %ecx
  rep stosq
  mov $3, %ebx
  lea on_break(%rip), %rax
  call gate
  mov $14, %ebx
  lea on_fault(%rip), %rax
  call gate
  mov $32, %ebx
  lea on_timer(%rip), %rax
  call gate
  lidt idtr(%rip)
  # GS base and swapgs
  mov $0xC0000101, %ecx
  mov $0x1234000, %eax
  xor %edx,%edx
  wrmsr
  swapgs
  swapgs
  rdmsr
  cmp $0x1234000, %eax
  jne fail
  # breakpoint exception and iretq
  xor %r12, %r12
  int3
  cmp $1, %r12
  jne fail
  # page fault on unmapped address 0x80000000 (>1 GiB): handler maps it
  mov $0x80000000, %r13
  movq $0x5a5a, (%r13)
  cmpq $0x5a5a, (%r13)
  jne fail
  # 4-level CR3 reloads and invlpg
  mov $2000, %ecx
2: mov %cr3, %rax
  mov %rax, %cr3
  invlpg (%r13)
  cmpq $0x5a5a, (%r13)
  jne fail
  loop 2b
  # timer interrupt by local APIC in xAPIC mode with HLT: map 0xFEE00000
  movq $0x203007, 0x201018   # PDPT entry 3 -> 0x203000
  mov $0x203000, %rdi
  xor %eax,%eax
  mov $512, %ecx
  rep stosq
  mov $0xFEE0009F, %eax
  mov %rax, 0x203000+ (0xFEE00000-0xC0000000)/0x200000*8
  mov %cr3,%rax
  mov %rax,%cr3
  # mask the PIC
  mov $0xff, %al
  out %al, $0x21
  out %al, $0xa1
  mov $0xFEE00000, %r14
  movl $0x1ff, 0xF0(%r14)
  movl $0x3, 0x3E0(%r14)
  movl $32, 0x320(%r14)
  xor %r12,%r12
  mov $20, %r15
3: movl $100000, 0x380(%r14)
  sti
  hlt
  cli
  dec %r15
  jnz 3b
  cmp $20, %r12
  jl fail
  # ring 3 by iretq and back by syscall
  mov $0xC0000081, %ecx
  xor %eax,%eax
  mov $0x001B0008, %edx
  wrmsr
  mov $0xC0000082, %ecx
  lea on_syscall(%rip), %rax
  mov %rax, %rdx
  shr $32, %rdx
  wrmsr
  mov $0xC0000084, %ecx
  mov $0x200, %eax
  xor %edx,%edx
  wrmsr
  mov $1000, %r15
4: push $0x23
  push $stack_top
  push $2
  push $0x2b
  lea user(%rip), %rax
  push %rax
  iretq
user:
  syscall
on_syscall:
  mov $16,%eax
  mov %eax,%ss
  mov $stack_top, %rsp
  dec %r15
  jnz 4b
  # the answer
  mov $0x2a, %al
  jmp done
fail: mov $0x01, %al
done:
  mov $0xf4, %dx
  out %al, %dx
5: hlt
  jmp 5b
gate: # ebx vector, rax handler
  shl $4, %ebx
  add $0x210000, %ebx
  mov %ax, (%rbx)
  movw $8, 2(%rbx)
  movw $0x8e00, 4(%rbx)
  shr $16, %rax
  mov %ax, 6(%rbx)
  shr $16, %rax
  mov %eax, 8(%rbx)
  ret
on_break: inc %r12
  iretq
on_fault:
  push %rax
  movq $0x204007, 0x201010
  movq $0x87, 0x204000
  mov %cr2,%rax
  pop %rax
  add $8, %rsp
  iretq
on_timer: inc %r12
  movl $0, 0xB0(%r14)
  iretq
.balign 8
gdt: .quad 0, 0x00209A0000000000, 0x0000920000000000, 0x0000000000000000, 0x0000F20000000000, 0x0020FA0000000000
gdtr: .word 47
 .long gdt
 .long 0
idtr: .word 0xfff
 .quad 0x210000
_end:
.set _bss_end, 0x280000
.set stack_top, 0x27ff00
