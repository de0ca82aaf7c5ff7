// What QEMU itself may do: no obsolete calls, no other programs, no other identity; nothing by default, nothing from files.
export const securityArguments = (): string[] => [
  '-no-user-config',
  '-nodefaults',
  ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  '-S', // CPUs wait for `cont`, so that nothing runs before the daemon has recorded the VM
];
