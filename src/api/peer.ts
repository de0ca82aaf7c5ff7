// Who is at the other end of a Unix socket: the kernel's word (SO_PEERCRED), asked once per connection.
import type { Socket } from 'node:net';
import koffi from 'koffi';

export type PeerUid = (socket: Socket) => number | null;

/** Null where the kernel cannot be asked; then the socket file's mode is what keeps others out. */
export function peerUid(): PeerUid {
  if (process.platform !== 'linux') return () => null;
  const getsockopt = koffi
    .load('libc.so.6')
    .func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)');
  const solSocket = 1;
  const soPeercred = 17; // struct ucred { pid_t pid; uid_t uid; gid_t gid; }
  return (socket) => {
    const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
    if (fd === undefined || fd < 0) return null;
    const credentials = Buffer.alloc(12);
    return getsockopt(fd, solSocket, soPeercred, credentials, [12]) === 0 ? credentials.readUInt32LE(4) : null;
  };
}
