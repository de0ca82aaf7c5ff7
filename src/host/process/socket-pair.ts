// A pair of connected sockets without a name: no other process can connect, and each side is notified when the other closes (socketpair(2)).
import koffi from 'koffi';
import { VivError } from '../../contract/errors.ts';

const unix = 1;
const streamCloseOnExec = 1 | 0o2000000;
const socketpair = koffi.load(null).func('int socketpair(int domain, int type, int protocol, _Out_ int *ends)') as (
  domain: number,
  type: number,
  protocol: number,
  ends: number[],
) => number;

/** The caller closes both. */
export function socketPair(): [number, number] {
  const ends = [-1, -1];
  if (socketpair(unix, streamCloseOnExec, 0, ends) < 0)
    throw new VivError('internal', `the host gives no pair of sockets (error ${koffi.errno()})`);
  return ends as [number, number];
}
