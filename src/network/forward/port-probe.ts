// Whether ports of the host can be had, and if not why: the relay itself tries to open them, and for one that is taken it is looked up who has it.

import { readFile } from 'node:fs/promises';
import type { ErrorCode } from '../../contract/errors.ts';
import { portOwner } from '../../host/port-owner.ts';
import { runProgram } from '../../host/run.ts';
import type { ForwardSpec } from '../model.ts';

export type Place = Pick<ForwardSpec, 'protocol' | 'bind' | 'port' | 'lastPort'>;

export interface Refusal {
  readonly code: ErrorCode;
  readonly why: string;
}

/** How the relay ends (native/port-forward/forward.h, enum failure). */
const portTaken = 98;
const notOurs = 99;
const notAllowed = 13;

export const placeWords = ({ protocol, bind, port, lastPort }: Place): string[] => [protocol, bind ?? '*', `${port}-${lastPort}`];

/** Null: they can be had now. */
export async function tryPlace(program: string, place: Place, signal?: AbortSignal): Promise<Refusal | null> {
  const { exitCode, stderr } = await runProgram(program, ['try', ...placeWords(place)], {
    timeoutMs: 10_000,
    ...(signal ? { signal } : {}),
  });
  if (exitCode === 0) return null;
  const { protocol, bind } = place;
  const port = Number(/port (\d+) of/.exec(stderr)?.[1] ?? place.port);
  const named = bind === null ? `${protocol.toUpperCase()} port ${port}` : `${protocol.toUpperCase()} port ${port} of ${bind}`;
  if (exitCode === portTaken) {
    const owner = await portOwner(protocol, bind, port);
    return { code: 'in_use', why: `${named} is taken by ${owner ?? 'somebody who cannot be found'}` };
  }
  if (exitCode === notOurs) return { code: 'invalid', why: `${bind} is no address of this host` };
  if (exitCode === notAllowed) {
    const first = (await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024')).trim();
    return {
      code: 'forbidden',
      why: `an ordinary user may not open ports below ${first}; let everybody as root with: sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
    };
  }
  return {
    code: 'unsupported',
    why: `${named} cannot be opened: ${stderr
      .trim()
      .replace(/^vivarium-port-forward: /, '')
      .slice(-300)}`,
  };
}
