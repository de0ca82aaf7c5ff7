// Page merging runs while a VM wants it, and stops with the last of them where it was Vivarium that began it.
import { isKsmOn, switchKsm } from '../../host/system/ksm.ts';

export class Ksm {
  readonly #vms = new Set<string>();
  #begun = false;

  /** @returns why pages are not merged; null: they are */
  async want(vm: string): Promise<string | null> {
    this.#vms.add(vm);
    const on = await isKsmOn();
    if (on === null) return 'this host’s kernel has no page merging';
    if (on) return null;
    this.#begun = await switchKsm(true);
    return this.#begun ? null : 'page merging is off on this host, and only root can start it';
  }

  async release(vm: string): Promise<void> {
    if (!this.#vms.delete(vm) || this.#vms.size > 0 || !this.#begun) return;
    this.#begun = false;
    await switchKsm(false);
  }
}
