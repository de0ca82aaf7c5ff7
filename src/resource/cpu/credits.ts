// The burst credits of all VMs that have them: settles each as often as its balance demands, and reports when a limit is lifted or holds again.
import type { Clock } from '../../host/clock.ts';
import { type Credit, type CreditTerms, fullCredit, settleAgainMs, settleCredit } from './credit.ts';

interface Account {
  terms: CreditTerms;
  credit: Credit;
  /** CPU time of its vCPUs in ms, and when it was read. */
  last: { usedMs: number; atMs: number };
  cancel: () => void;
}

export interface CreditOptions {
  readonly clock: Clock;
  /** CPU time that a VM's vCPUs have used since their start, in ms; null: not known now. */
  readonly usedMs: (vm: string) => number | null;
  /** Its limit is lifted, or holds again. */
  readonly onChange: (vm: string, lifted: boolean) => void;
}

export class Credits {
  readonly #options: CreditOptions;
  readonly #accounts = new Map<string, Account>();

  constructor(options: CreditOptions) {
    this.#options = options;
  }

  /** @param balanceMs what it has saved up already; null: all that it may. New terms keep the balance, as far as they allow it. */
  open(vm: string, terms: CreditTerms, balanceMs: number | null = null): Credit {
    const before = this.#accounts.get(vm);
    const saved = before?.credit.balanceMs ?? balanceMs;
    const credit =
      saved === null ? fullCredit(terms) : settleCredit(terms, { balanceMs: saved, lifted: before?.credit.lifted ?? false }, 0, 0);
    this.close(vm);
    const last = { usedMs: this.#options.usedMs(vm) ?? 0, atMs: this.#options.clock.now() };
    const account: Account = { terms, credit, last, cancel: () => {} };
    this.#accounts.set(vm, account);
    this.#settleLater(vm, account);
    return credit;
  }

  close(vm: string): void {
    this.#accounts.get(vm)?.cancel();
    this.#accounts.delete(vm);
  }

  closeAll(): void {
    for (const vm of [...this.#accounts.keys()]) this.close(vm);
  }

  /** Null: it has no credits. */
  of(vm: string): Credit | null {
    return this.#accounts.get(vm)?.credit ?? null;
  }

  balances(): Record<string, number> {
    return Object.fromEntries([...this.#accounts].map(([vm, { credit }]) => [vm, Math.round(credit.balanceMs)]));
  }

  #settleLater(vm: string, account: Account): void {
    account.cancel = this.#options.clock.after(settleAgainMs(account.terms, account.credit), () => this.#settle(vm, account));
  }

  #settle(vm: string, account: Account): void {
    const now = this.#options.clock.now();
    const usedMs = this.#options.usedMs(vm);
    if (usedMs !== null) {
      const { lifted } = account.credit;
      // A vCPU that was unplugged takes its time with it.
      const used = Math.max(0, usedMs - account.last.usedMs);
      account.credit = settleCredit(account.terms, account.credit, used, Math.max(0, now - account.last.atMs));
      account.last = { usedMs, atMs: now };
      if (account.credit.lifted !== lifted) this.#options.onChange(vm, account.credit.lifted);
    }
    this.#settleLater(vm, account);
  }
}
