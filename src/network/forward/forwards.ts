// Forwards of machines: which there are, which can be had, and what the networks are to do for them.
import { VivError } from '../../contract/errors.ts';
import { type Forward, type ForwardWish, forwardName, forwardText, parseForward, sharesPort } from '../../contract/forward.ts';
import { cardOf } from '../../vm/device/nic-hotplug.ts';
import { isVirtual } from '../../vm/device/nics.ts';
import type { MachineRecord, NicRecord } from '../../vm/record.ts';
import type { Machines } from '../../vm/registry.ts';
import type { Machine } from '../../vm/vm.ts';
import type { NetworksHere } from '../kernel/reconciler.ts';
import type { ForwardSpec } from '../model.ts';
import type { NetworkRecords } from '../record/network.ts';
import type { ForwardRecord, ForwardRecords } from '../record/port-forward.ts';
import { type Place, tryPlace } from './port-probe.ts';

type Owner = Pick<MachineRecord, 'id' | 'name' | 'nics'>;

export class MachineForwards {
  readonly records: ForwardRecords;
  readonly #machines: Machines;
  readonly #networks: NetworkRecords;
  readonly #here: NetworksHere;
  #entering: Promise<unknown> = Promise.resolve();

  constructor(records: ForwardRecords, machines: Machines, networks: NetworkRecords, here: NetworksHere) {
    this.records = records;
    this.#machines = machines;
    this.#networks = networks;
    this.#here = here;
  }

  /** By name. */
  of(vm: string): ForwardRecord[] {
    return this.records.all().filter((record) => record.vm === vm);
  }

  textsOf(vm: string): string[] {
    return this.of(vm).map(forwardText);
  }

  /**
   * What is asked for as records, when all of it can be had now. Nothing changes.
   * @param nic the card; null: the first one in a network
   * @throws in_use, invalid, forbidden, unsupported, missing_program, not_found
   */
  async checked(texts: readonly string[], owner: Owner, nic: string | null): Promise<ForwardRecord[]> {
    if (texts.length === 0) return [];
    const card = this.#card(owner, nic);
    const createdAt = Date.now();
    const asked = texts.map(parseForward).map((wish) => ({ name: forwardName(wish), ...wish, vm: owner.id, nic: card.id, createdAt }));
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
      for (const vm of new Set(fresh.map((one) => one.vm))) this.#machines.byId(vm)?.changed();
    };
    // One after the other: two at once could want the same port.
    const entered = this.#entering.then(enter, enter);
    this.#entering = entered.catch(() => {});
    return entered;
  }

  /** Repeatable; another one that has got the same name since stays. */
  async drop(gone: readonly ForwardRecord[]): Promise<void> {
    for (const one of gone) if (this.#has(one)) await this.records.drop(one.name);
    for (const vm of new Set(gone.map((one) => one.vm))) this.#machines.byId(vm)?.changed();
  }

  /** What the networks are to open for a machine that is plugged in. */
  wanted({ id, nics }: Owner): ForwardSpec[] {
    // Answers to the world go out by this one, whichever card was asked.
    const outward = nics.find((nic) => ['nat', 'routed', 'bridged'].includes(this.#networks.byName(nic.network)?.kind ?? ''));
    return this.of(id).flatMap(({ nic: card, createdAt: _, vm: __, ...forward }) => {
      const nic = nics.find((one) => one.id === card);
      const targets = addressesOf(nic);
      return targets.length === 0 ? [] : [{ ...forward, targets, keepsClients: nic === outward }];
    });
  }

  async view(record: ForwardRecord): Promise<Forward> {
    const machine = this.#machines.byId(record.vm);
    const targets = addressesOf(machine?.record.nics.find(({ id }) => id === record.nic));
    const shown = { ...record, vm: machine?.name ?? record.vm, targets };
    if (!machine?.live) return { ...shown, state: 'closed', problem: null };
    if (targets.length === 0)
      return { ...shown, state: 'failed', problem: `${machine.name} has no card ${record.nic} with an address now` };
    const found = await this.#here.forward(record.name);
    if (found === 'open') return { ...shown, state: 'open', problem: null };
    return { ...shown, state: 'failed', problem: found?.problem ?? 'it is being opened' };
  }

  /** Names of the forwards that lead to a card. */
  to(vm: string, nic: string): string[] {
    return this.of(vm).flatMap((record) => (record.nic === nic ? [record.name] : []));
  }

  #has({ name, createdAt, vm }: ForwardRecord): boolean {
    const found = this.records.byName(name);
    return found?.createdAt === createdAt && found.vm === vm;
  }

  #checkFree(wish: ForwardWish): void {
    const other = this.records.all().find((record) => sharesPort(record, wish));
    if (!other) return;
    const machine = this.#machines.byId(other.vm);
    throw new VivError(
      'in_use',
      `${forwardText(wish)} cannot be forwarded: ${other.name} leads to ${machine?.name ?? other.vm} already; choose another port, or close that one with: viv network unforward ${other.name}`,
    );
  }

  #card({ name, nics }: Owner, asked: string | null): NicRecord {
    const ours = nics.filter(isVirtual);
    const nic =
      asked === null ? (ours.find((one) => this.#hasSubnet(one)) ?? ours[0] ?? nics[0]) : cardOf({ name, record: { nics } }, asked);
    if (!nic)
      throw new VivError('unsupported', `${name} has no card, so no port can lead to it; give it one: viv network attach ${name} default`);
    if (!isVirtual(nic))
      throw new VivError(
        'unsupported',
        `${name} is in QEMU’s own network (user), which nothing can be forwarded into; use a network of this host’s, such as default`,
      );
    if (!this.#hasSubnet(nic))
      throw new VivError(
        'unsupported',
        `the card ${nic.id} of ${name} is bridged to the outside by ${nic.network}, which gives it an address that is not known here; reach it by that address, or name another card with --nic`,
      );
    return nic;
  }

  #hasSubnet({ network }: NicRecord): boolean {
    const found = this.#networks.byName(network);
    return found !== undefined && (found.ipv4 !== null || found.ipv6 !== null);
  }
}

const addressesOf = (nic: NicRecord | undefined): string[] => [nic?.ipv4, nic?.ipv6].filter((address) => typeof address === 'string');

/** @throws in_use, invalid, forbidden, unsupported */
async function checkPlace(program: string, wish: ForwardWish & Place): Promise<void> {
  const refusal = await tryPlace(program, wish);
  if (refusal === null) return;
  const next =
    refusal.code === 'in_use' ? '; choose another port, or end that' : refusal.code === 'invalid' ? '; leave it out for all of them' : '';
  throw new VivError(refusal.code, `${forwardText(wish)} cannot be forwarded: ${refusal.why}${next}`);
}

/** @throws in_use where ports of the host lead to the card */
export function checkUnforwarded({ id, name }: Machine, nic: string, forwards: MachineForwards): void {
  const names = forwards.to(id, nic);
  if (names.length === 0) return;
  throw new VivError(
    'in_use',
    `ports of this host lead to the card ${nic} of ${name}; close them first: viv network unforward ${names.join(' ')}`,
  );
}
