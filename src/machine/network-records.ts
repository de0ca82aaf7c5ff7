// Networks as the store has them, key `network/<name>`.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { Time } from '../contract/field.ts';
import { NetworkKind } from '../contract/network.ts';
import { type Store, StoreConflict } from '../store/store.ts';

export const NetworkRecord = z.object({
  name: z.string(),
  kind: NetworkKind,
  /** Subnets; null: none of ours. */
  ipv4: z.string().nullable(),
  ipv6: z.string().nullable(),
  interface: z.string().nullable(),
  createdAt: Time,
});
export type NetworkRecord = z.infer<typeof NetworkRecord>;

const networkKey = (name: string) => `network/${name}`;

export class NetworkRecords {
  readonly #store: Store;
  readonly #byName = new Map<string, NetworkRecord>();

  private constructor(store: Store, found: readonly NetworkRecord[]) {
    this.#store = store;
    for (const network of found) this.#byName.set(network.name, network);
  }

  static async open(store: Store, log: Logger): Promise<NetworkRecords> {
    const found: NetworkRecord[] = [];
    for (const { key, value } of await store.list('network/')) {
      const parsed = NetworkRecord.safeParse(value);
      if (parsed.success) found.push(parsed.data);
      else log.error({ key, problem: parsed.error.message }, 'a network’s record cannot be read; it is left alone');
    }
    return new NetworkRecords(store, found);
  }

  /** By name. */
  all(): NetworkRecord[] {
    return [...this.#byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  byName(name: string): NetworkRecord | undefined {
    return this.#byName.get(name);
  }

  /** @throws not_found */
  get(name: string): NetworkRecord {
    const network = this.#byName.get(name);
    if (!network)
      throw new VivError(
        'not_found',
        `there is no network named ${name}; viv network ls lists them, and viv network create ${name} makes it`,
      );
    return network;
  }

  /** Enters a new one. Repeatable. @throws name_taken */
  async insert(network: NetworkRecord): Promise<void> {
    if (this.#byName.get(network.name)?.createdAt === network.createdAt) return;
    try {
      await this.#store.commit({
        guards: [{ key: networkKey(network.name), revision: 0 }],
        puts: [{ key: networkKey(network.name), value: network }],
      });
    } catch (error) {
      if (error instanceof StoreConflict) throw networkNameTaken(network.name, error);
      throw error;
    }
    this.#byName.set(network.name, network);
  }

  /** Repeatable. */
  async drop(name: string): Promise<void> {
    if (!this.#byName.has(name)) return;
    const network = this.#byName.get(name) as NetworkRecord;
    // At once, so that nobody gets into it meanwhile.
    this.#byName.delete(name);
    try {
      await this.#store.commit({ deletes: [networkKey(name)] });
    } catch (error) {
      this.#byName.set(name, network);
      throw error;
    }
  }
}

export function networkNameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `there is a network named ${name} already; choose another name`, { cause });
}
