// What has been changed on the host itself for the networks (an interface and its subnets, bridges around its interfaces). Recorded before it is
// changed, so that any later daemon can undo it.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeWhole } from '../../host/file/whole-file.ts';
import { formatSubnet } from '../address/address.ts';
import { freeIpv4, freeIpv6 } from '../address/subnet.ts';
import { hostRoutes } from './host-network.ts';

const Changes = z.object({
  /** Subnets of the uplink. */
  ipv4: z.string(),
  ipv6: z.string(),
  /** Settings that the uplink needs on. */
  forwards: z.array(z.string()),
  bridgeUplinks: z.array(z.object({ network: z.string(), interface: z.string() })),
});
type Changes = z.infer<typeof Changes>;

export class HostChanges {
  readonly #stateDirectory: string;
  readonly #file: string;
  #known: Changes | null = null;

  /** @param folder for run files */
  constructor(stateDirectory: string, folder: string) {
    this.#stateDirectory = stateDirectory;
    this.#file = join(folder, 'host.json');
  }

  /** Null: nothing was changed. */
  async read(): Promise<Changes | null> {
    this.#known ??= await readFile(this.#file, 'utf8').then(
      (text) => Changes.safeParse(JSON.parse(text)).data ?? null,
      () => null,
    );
    return this.#known;
  }

  /** As read(); the initial record, with free subnets, where there is none. Writes nothing. */
  async readOrCreate(ip: string): Promise<Changes> {
    const known = await this.read();
    if (known !== null) return known;
    const taken = (await hostRoutes(ip)).map(({ subnet }) => subnet);
    const seed = `${this.#stateDirectory}\0uplink`;
    return {
      ...{ ipv4: formatSubnet(freeIpv4(seed, 30, taken)), ipv6: formatSubnet(freeIpv6(this.#stateDirectory, seed, taken)) },
      ...{ forwards: [], bridgeUplinks: [] },
    };
  }

  async write(changes: Changes): Promise<void> {
    await writeWhole(this.#file, JSON.stringify(changes), 0o600);
    this.#known = changes;
  }

  /** All of it has been undone. */
  async drop(): Promise<void> {
    this.#known = null;
    await rm(this.#file, { force: true });
  }
}
