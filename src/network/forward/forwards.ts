// Forwards of VMs: which there are, which can be had, and what the networks are to do for them.
import { VivError } from '../../contract/errors.ts';
import { type Forward, type ForwardWish, forwardName, forwardText, parseForward, sharesPort } from '../../contract/forward.ts';
import { nicOf } from '../../vm/device/nic-hotplug.ts';
import { isVirtual } from '../../vm/device/nics.ts';
import type { NicRecord, VmRecord } from '../../vm/record.ts';
import type { VmRegistry } from '../../vm/registry.ts';
import type { Vm } from '../../vm/vm.ts';
import type { NetworksHere } from '../kernel/reconciler.ts';
import type { ForwardSpec } from '../model.ts';
import type { NetworkRecords } from '../record/network.ts';
import type { ForwardRecord, ForwardRecords } from '../record/port-forward.ts';
import { type Place, tryPlace } from './port-probe.ts';

type Owner = Pick<VmRecord, 'id' | 'name' | 'nics'>;

export class VmForwards {
  readonly records: ForwardRecords;
  readonly #vms: VmRegistry;
  readonly #networks: NetworkRecords;
  readonly #here: NetworksHere;
  #entering: Promise<unknown> = Promise.resolve();

  constructor(records: ForwardRecords, vms: VmRegistry, networks: NetworkRecords, here: NetworksHere) {
    this.records = records;
    this.#vms = vms;
    this.#networks = networks;
    this.#here = here;
  }

  /** By name. */
  of(vmRef: string): ForwardRecord[] {
    return this.records.all().filter((record) => record.vm === vmRef);
  }

  textsOf(vmRef: string): string[] {
    return this.of(vmRef).map(forwardText);
  }

  /**
   * What is asked for as records, when all of it can be had now. Nothing changes.
   * @param nicId the NIC; null: the first one in a network
   * @throws in_use, invalid, forbidden, unsupported, missing_program, not_found
   */
  async checked(texts: readonly string[], owner: Owner, nicId: string | null): Promise<ForwardRecord[]> {
    if (texts.length === 0) return [];
    const nic = this.#nic(owner, nicId);
    const createdAt = Date.now();
    const asked = texts.map(parseForward).map((wish) => ({ name: forwardName(wish), ...wish, vm: owner.id, nic: nic.id, createdAt }));
    asked.forEach((one, at) => {
      const twin = asked.slice(0, at).find((other) => sharesPort(one, other));
      if (twin)
        throw new VivError(
          'invalid',
          `${forwardText(twin)} and ${forwardText(one)} want the same port of this host; leave one of them out`,
        );
      this.#checkFree(one);
    });
    const program = (await this.#here.able()).programs.forward;
    if (program === null) throw new VivError('missing_program', 'vivarium-port-forward has not been built; build it with: native/build.sh');
    await Promise.all(asked.map((one) => checkPlace(program, one)));
    return asked;
  }

  /** Enters all of them, or none. Repeatable. @throws in_use */
  enter(fresh: readonly ForwardRecord[]): Promise<void> {
    const enter = async () => {
      for (const one of fresh) if (!this.#has(one)) this.#checkFree(one);
      for (const one of fresh) await this.records.insert(one);
      for (const vmRef of new Set(fresh.map((one) => one.vm))) this.#vms.byId(vmRef)?.changed();
    };
    // One after the other: two at once could want the same port.
    const entered = this.#entering.then(enter, enter);
    this.#entering = entered.catch(() => {});
    return entered;
  }

  /** Repeatable; another one that has got the same name since stays. */
  async drop(gone: readonly ForwardRecord[]): Promise<void> {
    for (const one of gone) if (this.#has(one)) await this.records.drop(one.name);
    for (const vmRef of new Set(gone.map((one) => one.vm))) this.#vms.byId(vmRef)?.changed();
  }

  /** What the networks are to open for a VM that is plugged in. */
  desired({ id, nics }: Owner): ForwardSpec[] {
    // Answers to the world go out by this one, whichever NIC was asked.
    const outward = nics.find((nicId) => ['nat', 'routed', 'bridged'].includes(this.#networks.byName(nicId.network)?.kind ?? ''));
    return this.of(id).flatMap(({ nic, createdAt: _, vm: __, ...forward }) => {
      const nicId = nics.find((one) => one.id === nic);
      const targets = addressesOf(nicId);
      return targets.length === 0 ? [] : [{ ...forward, targets, keepsClients: nicId === outward }];
    });
  }

  async view(record: ForwardRecord): Promise<Forward> {
    const vm = this.#vms.byId(record.vm);
    const targets = addressesOf(vm?.record.nics.find(({ id }) => id === record.nic));
    const shown = { ...record, vm: vm?.name ?? record.vm, targets };
    if (!vm?.live) return { ...shown, state: 'closed', problem: null };
    if (targets.length === 0) return { ...shown, state: 'failed', problem: `${vm.name} has no NIC ${record.nic} with an address now` };
    const found = await this.#here.forward(record.name);
    if (found === 'open') return { ...shown, state: 'open', problem: null };
    return { ...shown, state: 'failed', problem: found?.problem ?? 'it is being opened' };
  }

  /** Names of the forwards that lead to a NIC. */
  to(vmRef: string, nicId: string): string[] {
    return this.of(vmRef).flatMap((record) => (record.nic === nicId ? [record.name] : []));
  }

  #has({ name, createdAt, vm: vmRef }: ForwardRecord): boolean {
    const found = this.records.byName(name);
    return found?.createdAt === createdAt && found.vm === vmRef;
  }

  #checkFree(wish: ForwardWish): void {
    const other = this.records.all().find((record) => sharesPort(record, wish));
    if (!other) return;
    const vm = this.#vms.byId(other.vm);
    throw new VivError(
      'in_use',
      `${forwardText(wish)} cannot be forwarded: ${other.name} leads to ${vm?.name ?? other.vm} already; choose another port, or close that one with: viv forward rm ${other.name}`,
    );
  }

  #nic({ name, nics }: Owner, asked: string | null): NicRecord {
    const ours = nics.filter(isVirtual);
    const nicId =
      asked === null ? (ours.find((one) => this.#hasSubnet(one)) ?? ours[0] ?? nics[0]) : nicOf({ name, record: { nics } }, asked);
    if (!nicId) throw new VivError('unsupported', `${name} has no NIC, so no port can lead to it; add one: viv nic add ${name} default`);
    if (!isVirtual(nicId))
      throw new VivError(
        'unsupported',
        `${name} is in QEMU’s own network (user), which nothing can be forwarded into; use a network of this host’s, such as default`,
      );
    if (!this.#hasSubnet(nicId))
      throw new VivError(
        'unsupported',
        `the NIC ${nicId.id} of ${name} is bridged to the outside by ${nicId.network}, which gives it an address that is not known here; reach it by that address, or name another NIC with --nic`,
      );
    return nicId;
  }

  #hasSubnet({ network }: NicRecord): boolean {
    const found = this.#networks.byName(network);
    return found !== undefined && (found.ipv4 !== null || found.ipv6 !== null);
  }
}

const addressesOf = (nicId: NicRecord | undefined): string[] => [nicId?.ipv4, nicId?.ipv6].filter((address) => typeof address === 'string');

/** @throws in_use, invalid, forbidden, unsupported */
async function checkPlace(program: string, wish: ForwardWish & Place): Promise<void> {
  const refusal = await tryPlace(program, wish);
  if (refusal === null) return;
  const next =
    refusal.code === 'in_use' ? '; choose another port, or end that' : refusal.code === 'invalid' ? '; leave it out for all of them' : '';
  throw new VivError(refusal.code, `${forwardText(wish)} cannot be forwarded: ${refusal.why}${next}`);
}

/** @throws in_use where ports of the host lead to the NIC */
export function checkUnforwarded({ id, name }: Vm, nicId: string, forwards: VmForwards): void {
  const names = forwards.to(id, nicId);
  if (names.length === 0) return;
  throw new VivError(
    'in_use',
    `ports of this host lead to the NIC ${nicId} of ${name}; close them first: viv forward rm ${names.join(' ')}`,
  );
}
