// Whether ports of the host can be opened, and if not why: the relay program tries, and the owner of a port that is taken is looked up.
import { readFile } from 'node:fs/promises';
import type { ErrorCode } from '../../contract/errors.ts';
import { portOwner } from '../../host/process/port-owner.ts';
import { runProgram } from '../../host/process/run.ts';
import type { ForwardSpec } from '../model.ts';

export type ListenSpec = Pick<ForwardSpec, 'protocol' | 'bind' | 'port' | 'lastPort'>;

export interface ProbeFailure {
  readonly code: ErrorCode;
  readonly why: string;
}

/** Exit codes of the relay (native/port-forward/forward.h, enum exit_code). */
const portTaken = 98;
const addressNotLocal = 99;
const notAllowed = 13;

export const listenArguments = ({ protocol, bind, port, lastPort }: ListenSpec): string[] => [protocol, bind ?? '*', `${port}-${lastPort}`];

/** Null: they can be opened now. */
export async function probePort(program: string, place: ListenSpec, signal?: AbortSignal): Promise<ProbeFailure | null> {
  const { exitCode, stderr } = await runProgram(program, ['try', ...listenArguments(place)], {
    timeoutMs: 10_000,
    ...(signal ? { signal } : {}),
  });
  if (exitCode === 0) return null;
  const { protocol, bind } = place;
  const port = Number(/port (\d+) of/.exec(stderr)?.[1] ?? place.port);
  const named = bind === null ? `${protocol.toUpperCase()} port ${port}` : `${protocol.toUpperCase()} port ${port} of ${bind}`;
  if (exitCode === portTaken) {
    const owner = await portOwner(protocol, bind, port);
    return { code: 'in_use', why: `${named} is in use by ${owner ?? 'an unknown process'}` };
  }
  if (exitCode === addressNotLocal) return { code: 'invalid', why: `${bind} is not an address of this host` };
  if (exitCode === notAllowed) {
    const first = (await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024')).trim();
    return {
      code: 'forbidden',
      why: `only root may open ports below ${first}. Allow it to every user with: sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
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
