/** Why QEMU has paused the guest. Pure. */
export function pauseReason({ full, device }: { full: boolean; device: string }, name: string) {
  if (full) return { code: 'host_disk_full', message: 'the host’s disk is full; it continues when there is room again' } as const;
  return {
    code: 'disk_error',
    message: `a disk of the host failed (${device}). See: viv logs ${name} --source qemu`,
  } as const;
}
