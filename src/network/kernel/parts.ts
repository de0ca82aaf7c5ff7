// What the networks of this state directory consist of, each with its own lifetime. Made once it is known what the host is capable of.
import { join } from 'node:path';
import type { Able } from '../capability.ts';
import { Dnsmasqs } from '../dns/dnsmasq.ts';
import { Relays } from '../forward/relays.ts';
import { BridgeUplinks } from './bridge-uplinks.ts';
import { HostChanges } from './host-changes.ts';
import { Namespace } from './namespace.ts';
import { Uplinks } from './uplink.ts';

export interface Parts {
  readonly able: Able;
  readonly namespace: Namespace;
  readonly changes: HostChanges;
  readonly uplinks: Uplinks;
  /** Null: an ordinary user has none. */
  readonly bridgeUplinks: BridgeUplinks | null;
  readonly dnsmasqs: Dnsmasqs;
  readonly relays: Relays;
}

/**
 * Finds what an earlier daemon has left running. Changes nothing.
 * @param folder for run files
 * @param onForward, onNetwork a port forward or a network has another problem, or (null) none any more
 * @param again reconciles once more
 */
export async function openParts(
  able: Able,
  { stateDirectory, folder }: { readonly stateDirectory: string; readonly folder: string },
  onForward: (name: string, problem: string | null) => void,
  onNetwork: (name: string, problem: string | null) => void,
  again: () => Promise<void>,
): Promise<Parts> {
  const { programs, asUser, nobody } = able;
  const dnsmasqs = new Dnsmasqs(join(folder, 'dns'), programs.dnsmasq);
  const relays = new Relays({ folder, program: programs.forward, nobody, onProblem: onForward, again });
  await Promise.all([dnsmasqs.adopt(), relays.adopt()]);
  const changes = new HostChanges(stateDirectory, folder);
  return {
    able,
    namespace: new Namespace(folder, programs, asUser),
    changes,
    uplinks: new Uplinks({ stateDirectory, folder, programs, asUser, changes }),
    bridgeUplinks: asUser ? null : new BridgeUplinks(stateDirectory, programs.ip, changes, onNetwork),
    dnsmasqs,
    relays,
  };
}
