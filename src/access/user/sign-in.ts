// Signing in with a password and a second factor. Every refusal says the same and costs the same, whether the user is unknown, disabled, or the password or
// the code is wrong.
import { VivError } from '../../contract/errors.ts';
import type { Commit } from '../table.ts';
import { hashPassword, verifyPassword } from './password.ts';
import type { UserRecord } from './record.ts';
import { hashRecoveryCode, newRecoveryCodes, newTotpSecret, totpStep, totpUri } from './second-factor.ts';
import type { Throttle } from './throttle.ts';
import type { Users } from './users.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly code?: string | undefined;
}

export class SignIn {
  readonly #users: Users;
  readonly #throttle: Throttle;
  readonly #now: () => number;

  constructor(users: Users, throttle: Throttle, now: () => number) {
    this.#users = users;
    this.#throttle = throttle;
    this.#now = now;
  }

  /**
   * The user whose credentials these are, and what its record becomes by the sign-in (a used code is used up).
   * @throws unauthenticated, rate_limited
   */
  async check(
    { user: name, password, code }: Credentials,
    address: string | null,
  ): Promise<{ user: UserRecord; change: Partial<UserRecord>; method: 'password' | 'recovery-code' }> {
    this.#admit(name, address);
    const record = this.#users.byName(name);
    const right = await verifyPassword(password, record?.password ?? null);
    // Read again: hashing took its time.
    const user = this.#users.byName(name);
    if (!right || !user || user.disabled || user.id !== record?.id || user.password !== record.password) throw this.#wrong(name, address);
    const lastSignInAt = this.#now();
    if (user.totp?.confirmed !== true) {
      this.#throttle.succeeded(name);
      return { user, change: { lastSignInAt }, method: 'password' };
    }
    // Only a caller with the password learns that a code is asked for.
    if (code === undefined) {
      throw new VivError('unauthenticated', 'this user signs in with a one-time code as well; give it, or a recovery code', {
        details: { needs: 'code' },
      });
    }
    const step = totpStep(user.totp.secret, code.trim(), user.totp.lastStep, this.#now());
    if (step !== null) {
      this.#throttle.succeeded(name);
      return { user, change: { lastSignInAt, totp: { ...user.totp, lastStep: step } }, method: 'password' };
    }
    const used = hashRecoveryCode(code);
    if (!user.recoveryCodes.includes(used)) throw this.#wrong(name, address);
    this.#throttle.succeeded(name);
    return { user, change: { lastSignInAt, recoveryCodes: user.recoveryCodes.filter((one) => one !== used) }, method: 'recovery-code' };
  }

  /** @throws unauthenticated, rate_limited */
  async checkPassword(name: string, password: string, address: string | null): Promise<void> {
    this.#admit(name, address);
    if (!(await verifyPassword(password, this.#users.byName(name)?.password ?? null))) throw this.#wrong(name, address);
    this.#throttle.succeeded(name);
  }

  hash = (password: string): Promise<string> => hashPassword(password);

  /** One-time codes are set up, and asked for once a valid code has confirmed them. @throws not_found, wrong_state */
  async beginTotp(name: string, commit: Commit): Promise<{ secret: string; uri: string }> {
    if (this.#users.get(name).totp?.confirmed)
      throw new VivError('wrong_state', `${name} has one-time codes already; remove them first: viv user totp disable ${name}`);
    const secret = newTotpSecret();
    await this.#users.update(name, () => ({ totp: { secret, confirmed: false, lastStep: 0 } }), commit);
    return { secret, uri: totpUri(secret, name) };
  }

  /** @throws not_found, wrong_state, invalid, rate_limited */
  async confirmTotp(name: string, code: string, address: string | null, commit: Commit): Promise<{ recoveryCodes: string[] }> {
    const { totp } = this.#users.get(name);
    if (!totp || totp.confirmed) throw new VivError('wrong_state', `${name} has no one-time codes that wait to be confirmed`);
    this.#admit(name, address);
    const step = totpStep(totp.secret, code, totp.lastStep, this.#now());
    if (step === null) {
      this.#throttle.failed(name, address);
      throw new VivError('invalid', 'this code is wrong; see that the clocks of this host and of the authenticator are right');
    }
    const recoveryCodes = newRecoveryCodes();
    await this.#users.update(
      name,
      () => ({ totp: { ...totp, confirmed: true, lastStep: step }, recoveryCodes: recoveryCodes.map(hashRecoveryCode) }),
      commit,
    );
    return { recoveryCodes };
  }

  #admit(name: string, address: string | null): void {
    const waitMs = this.#throttle.waitMs(name, address);
    if (waitMs <= 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new VivError('rate_limited', `too many wrong sign-ins; try again in ${seconds} s`, { details: { retryAfterMs: waitMs } });
  }

  #wrong(name: string, address: string | null): VivError {
    this.#throttle.failed(name, address);
    return new VivError('unauthenticated', 'the user name, the password or the code is wrong, or the user is disabled');
  }
}
