// Port forwards of VMs: the records, whether a new one is possible, and what the relays should serve.
import { VivError } from '../../contract/errors.ts';
import { type Forward, type ForwardWish, forwardName, forwardText, parseForward, sharesPort } from '../../contract/forward.ts';
import type { NetworkReconciler } from '../kernel/reconciler.ts';
import { type ForwardSpec, isVirtual, type Nic, type NicOwner, type PortSource } from '../model.ts';
import type { NetworkRecords } from '../record/network.ts';
import type { ForwardRecord, ForwardRecords } from '../record/port-forward.ts';
import { type ListenSpec, probePort } from './port-probe.ts';

export class PortForwards {
  readonly records: ForwardRecords;
  readonly #source: PortSource;
  readonly #networks: NetworkRecords;
  readonly #reconciler: NetworkReconciler;
  readonly #changed: (vmId: string) => void;
  #inserting: Promise<unknown> = Promise.resolve();

  constructor(options: {
    records: ForwardRecords;
    source: PortSource;
    networks: NetworkRecords;
    reconciler: NetworkReconciler;
    /** The list of a VM's port forwards is another one. */
    changed: (vmId: string) => void;
  }) {
    this.records = options.records;
    this.#source = options.source;
    this.#networks = options.networks;
    this.#reconciler = options.reconciler;
    this.#changed = options.changed;
  }

  /** Those of a VM, sorted by name. */
  of(vmId: string): ForwardRecord[] {
    return this.records.all().filter((record) => record.vm === vmId);
  }

  textsOf(vmId: string): string[] {
    return this.of(vmId).map(forwardText);
  }

  /**
   * Records for the requested port forwards, when all of them are possible now. Changes nothing.
   * @param nicId the NIC; null: the first one in a virtual network
   * @throws in_use, invalid, forbidden, unsupported, missing_program, not_found
   */
  async checked(texts: readonly string[], owner: NicOwner, nicId: string | null): Promise<ForwardRecord[]> {
    if (texts.length === 0) return [];
    const nic = this.#targetNic(owner, nicId);
    const createdAt = Date.now();
    const records = texts.map(parseForward).map((wish) => ({ name: forwardName(wish), ...wish, vm: owner.id, nic: nic.id, createdAt }));
    records.forEach((one, at) => {
      const twin = records.slice(0, at).find((other) => sharesPort(one, other));
      if (twin)
        throw new VivError('invalid', `${forwardText(twin)} and ${forwardText(one)} use the same port of this host; omit one of them`);
      this.#checkFree(one);
    });
    const program = (await this.#reconciler.able()).programs.forward;
    if (program === null)
      throw new VivError(
        'missing_program',
        'port forwards need vivarium-port-forward, which has not been built; build it with: native/build.sh',
      );
    await Promise.all(records.map((one) => checkPort(program, one)));
    return records;
  }

  /** Inserts all of them, or none. Repeatable. @throws in_use */
  enter(records: readonly ForwardRecord[]): Promise<void> {
    const insert = async () => {
      for (const one of records) if (!this.#has(one)) this.#checkFree(one);
      for (const one of records) await this.records.insert(one);
      this.#reportChange(records);
    };
    // One call at a time: two could use the same port.
    const inserted = this.#inserting.then(insert, insert);
    this.#inserting = inserted.catch(() => {});
    return inserted;
  }

  /** Repeatable; a newer one of the same name stays. */
  async drop(records: readonly ForwardRecord[]): Promise<void> {
    for (const one of records) if (this.#has(one)) await this.records.drop(one.name);
    this.#reportChange(records);
  }

  /** What the relays should serve for an attached VM. */
  desired({ id, nics }: NicOwner): ForwardSpec[] {
    // The guest's default route: it sends its replies there, whichever NIC was asked.
    const outward = nics.find((nic) => ['nat', 'routed', 'bridged'].includes(this.#networks.byName(nic.network)?.kind ?? ''));
    return this.of(id).flatMap(({ nic: nicId, createdAt: _, vm: __, ...forward }) => {
      const nic = nics.find((one) => one.id === nicId);
      const targets = addressesOf(nic);
      return targets.length === 0 ? [] : [{ ...forward, targets, keepsClients: nic === outward }];
    });
  }

  async view(record: ForwardRecord): Promise<Forward> {
    const vm = this.#source.byId(record.vm);
    const targets = addressesOf(vm?.nics.find(({ id }) => id === record.nic));
    const shown = { ...record, vm: vm?.name ?? record.vm, targets };
    if (!vm?.process) return { ...shown, state: 'closed', problem: null };
    if (targets.length === 0) return { ...shown, state: 'failed', problem: `${vm.name} has no NIC ${record.nic} with an address now` };
    const state = await this.#reconciler.forward(record.name);
    if (state === 'open') return { ...shown, state: 'open', problem: null };
    return { ...shown, state: 'failed', problem: state?.problem ?? 'it is being opened' };
  }

  /** @throws in_use where port forwards lead to the NIC */
  checkNoneTo({ id, name }: Pick<NicOwner, 'id' | 'name'>, nicId: string): void {
    const names = this.of(id).flatMap((record) => (record.nic === nicId ? [record.name] : []));
    if (names.length === 0) return;
    throw new VivError(
      'in_use',
      `port forwards lead to the NIC ${nicId} of ${name}; remove them first with: viv forward rm ${names.join(' ')}`,
    );
  }

  #reportChange(records: readonly ForwardRecord[]): void {
    for (const vm of new Set(records.map((one) => one.vm))) this.#changed(vm);
  }

  #has({ name, createdAt, vm }: ForwardRecord): boolean {
    const found = this.records.byName(name);
    return found?.createdAt === createdAt && found.vm === vm;
  }

  #checkFree(wish: ForwardWish): void {
    const other = this.records.all().find((record) => sharesPort(record, wish));
    if (!other) return;
    const holder = this.#source.byId(other.vm)?.name ?? other.vm;
    throw new VivError(
      'in_use',
      `cannot forward ${forwardText(wish)}, because ${other.name} is forwarded to ${holder} already. Choose another port, or remove that one with: viv forward rm ${other.name}`,
    );
  }

  #targetNic({ name, nics }: NicOwner, requested: string | null): Nic {
    const virtual = nics.filter(isVirtual);
    const nic =
      requested === null
        ? (virtual.find((one) => this.#hasSubnet(one)) ?? virtual[0] ?? nics[0])
        : nics.find((one) => one.id === requested);
    if (!nic && requested !== null)
      throw new VivError('not_found', `${name} has no NIC ${requested}; it has ${nics.map((one) => one.id).join(', ') || 'none'}`);
    if (!nic)
      throw new VivError(
        'unsupported',
        `cannot forward a port to ${name}, because it has no NIC; add one with: viv nic add ${name} default`,
      );
    if (!isVirtual(nic))
      throw new VivError(
        'unsupported',
        `cannot forward a port to ${name}, because it is in QEMU’s user-mode network; use a virtual network, such as default`,
      );
    if (!this.#hasSubnet(nic))
      throw new VivError(
        'unsupported',
        `cannot forward a port to the NIC ${nic.id} of ${name}, because the bridged network ${nic.network} assigns its address from outside. Use that address directly, or another NIC with --nic`,
      );
    return nic;
  }

  #hasSubnet({ network }: Nic): boolean {
    const found = this.#networks.byName(network);
    return found !== undefined && (found.ipv4 !== null || found.ipv6 !== null);
  }
}

const addressesOf = (nic: Nic | undefined): string[] => [nic?.ipv4, nic?.ipv6].filter((address) => typeof address === 'string');

/** @throws in_use, invalid, forbidden, unsupported */
async function checkPort(program: string, wish: ForwardWish & ListenSpec): Promise<void> {
  const failure = await probePort(program, wish);
  if (failure === null) return;
  const advice =
    failure.code === 'in_use'
      ? '. Choose another port, or stop that'
      : failure.code === 'invalid'
        ? '. Omit the address to listen on all of them'
        : '';
  throw new VivError(failure.code, `cannot forward ${forwardText(wish)}: ${failure.why}${advice}`);
}
