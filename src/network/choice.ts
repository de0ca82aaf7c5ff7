// Which networks a new VM or NIC gets: what was requested is checked, and the default network is created where it is missing.
import { isSubnet } from '../contract/egress.ts';
import { VivError } from '../contract/errors.ts';
import { type NicRules, type NicWish, parseNicWish } from '../contract/nic-spec.ts';
import { freeSubnets, type SubnetInUse, subnetsInUse } from './address/subnets-in-use.ts';
import type { NetworkReconciler } from './kernel/reconciler.ts';
import { defaultSettings } from './model.ts';
import { NetworkRecord, type NetworkRecords } from './record/network.ts';
import type { GroupRecords } from './record/security-group.ts';

export const defaultNetwork = 'default';

/** Lengths of the IPv4 prefix: every VM is in the default network, which has room for 4,093 of them. */
const defaultPrefix = 20;
const usualPrefix = 24;

export class NetworkChoice {
  readonly #records: NetworkRecords;
  readonly #groups: GroupRecords;
  readonly #reconciler: NetworkReconciler;
  readonly #stateDirectory: string;
  /** VIV_DEFAULT_NETWORK. */
  readonly #usual: string | undefined;
  #creating: Promise<void> = Promise.resolve();

  constructor(options: {
    records: NetworkRecords;
    groups: GroupRecords;
    reconciler: NetworkReconciler;
    paths: { readonly stateDirectory: string };
    env: NodeJS.ProcessEnv;
  }) {
    this.#records = options.records;
    this.#groups = options.groups;
    this.#reconciler = options.reconciler;
    this.#stateDirectory = options.paths.stateDirectory;
    this.#usual = options.env['VIV_DEFAULT_NETWORK'] || undefined;
  }

  /**
   * The networks of a new VM, as they were requested or the default.
   * @throws not_found, invalid, unsupported, missing_program
   */
  async resolve(requested: readonly string[] | undefined): Promise<string[]> {
    const texts = requested ?? [this.#usual ?? ((await this.#reconciler.capability()).ok ? defaultNetwork : 'user')];
    const nics = texts.map(parseNicWish);
    const names = nics.map(({ network }) => network).filter((name) => name !== 'user' && name !== 'none');
    if (names.length > 0) await this.#reconciler.able();
    if (names.includes(defaultNetwork)) await this.#createDefault();
    for (const name of names) this.#records.get(name);
    for (const nic of nics) {
      await this.#checkVlans(nic);
      await this.checkRules(nic.rules);
    }
    return [...texts];
  }

  /** @throws not_found, unsupported */
  async checkRules({ securityGroups, egress }: Pick<NicRules, 'securityGroups' | 'egress'>): Promise<void> {
    for (const group of securityGroups) this.#groups.get(group);
    if (egress?.some((item) => !isSubnet(item))) await this.#reconciler.checkEgressByName();
  }

  async subnetsInUse(): Promise<SubnetInUse[]> {
    return subnetsInUse(this.#records.all(), this.#stateDirectory, (await this.#reconciler.able()).programs.ip);
  }

  /** A free subnet of each family. */
  async freeSubnets(name: string): Promise<{ ipv4: string; ipv6: string }> {
    return freeSubnets(name, name === defaultNetwork ? defaultPrefix : usualPrefix, this.#stateDirectory, await this.subnetsInUse());
  }

  async #checkVlans({ network, vlan, trunk }: Pick<NicWish, 'network' | 'vlan' | 'trunk'>): Promise<void> {
    if ((vlan === null && trunk.length === 0) || (await this.#reconciler.able()).vlans) return;
    throw new VivError(
      'unsupported',
      `a NIC in ${network} cannot be in a VLAN, because this host's kernel has no bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING). Leave the VLAN out`,
    );
  }

  /** One at a time: two could choose different subnets. */
  #createDefault(): Promise<void> {
    const create = async () => {
      if (this.#records.byName(defaultNetwork)) return;
      const subnets = await this.freeSubnets(defaultNetwork);
      await this.#records.insert(
        NetworkRecord.parse({
          ...defaultSettings,
          ...{ name: defaultNetwork, kind: 'nat', ...subnets, interface: null, project: null, createdAt: Date.now() },
        }),
      );
    };
    this.#creating = this.#creating.then(create, create);
    return this.#creating;
  }
}
