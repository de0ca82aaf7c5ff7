// Signing in: what counts, how often, and what a refusal gives away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret, TOTP } from 'otpauth';
import { write } from '../../src/access/table.ts';
import { hashPassword, verifyPassword } from '../../src/access/user/password.ts';
import { Throttle } from '../../src/access/user/throttle.ts';
import { type Opened, withAccess } from './open.ts';

const password = 'correct horse battery';
const code = (error: unknown) => (error as { code?: string }).code;
const totp = (secret: string, at: number) => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: at });

async function ana({ access, commit, clock }: Opened, grants: Parameters<typeof access.users.create>[0]['grants'] = []) {
  return access.users.create({ name: 'ana', password: await hashPassword(password), uid: null, grants }, commit, clock.at);
}

test('a password is kept as argon2id with 64 MiB and 3 passes, and composed letters are the same as precomposed ones', async () => {
  const kept = await hashPassword('caf\u00e9 au lait');
  assert.match(kept, /^\$argon2id\$v=19\$m=65536,t=3,p=1\$[^$]{22}\$[^$]{43}$/);
  assert.equal(await verifyPassword('cafe\u0301 au lait', kept), true);
  assert.equal(await verifyPassword('cafe au lait', kept), false);
});

test('an unknown user costs as much as a wrong password', async () => {
  const kept = await hashPassword(password);
  const time = async (against: string | null) => {
    const started = process.cpuUsage();
    await verifyPassword('wrong', against);
    const { user, system } = process.cpuUsage(started);
    return user + system;
  };
  const median = async (against: string | null) => (await Promise.all([1, 2, 3].map(() => time(against)))).sort((a, b) => a - b)[1] ?? 0;
  const [known, unknown] = [await median(kept), await median(null)];
  assert.ok(unknown > known / 3 && unknown < known * 3, `${known} µs and ${unknown} µs`);
});

test('unknown, disabled and wrong are the same refusal', () =>
  withAccess(async (opened) => {
    const { access, commit } = opened;
    await ana(opened);
    await access.users.create({ name: 'ben', password: await hashPassword(password), uid: null, grants: [] }, commit, 1);
    await access.users.update('ben', () => ({ disabled: true }), commit);
    const refusals = await Promise.all(
      [
        ['ana', 'wrong password!'],
        ['ben', password],
        ['nobody', password],
      ].map(([user = '', given = '']) =>
        access.signIn.check({ user, password: given }, null).then(
          () => assert.fail(),
          (error) => error,
        ),
      ),
    );
    assert.deepEqual(new Set(refusals.map(({ message }) => message)).size, 1);
    assert.deepEqual(new Set(refusals.map(code)), new Set(['unauthenticated']));
  }));

test('after five wrong sign-ins the account and the address wait, ever longer', () => {
  let now = 0;
  const throttle = new Throttle(() => now);
  for (let count = 0; count < 4; count++) throttle.failed('ana', '192.0.2.1');
  assert.equal(throttle.waitMs('ana', '192.0.2.1'), 0);
  const waits: number[] = [];
  for (let count = 0; count < 12; count++) {
    throttle.failed('ana', '192.0.2.1');
    waits.push(throttle.waitMs('nobody', '192.0.2.1'));
    now += waits.at(-1) ?? 0;
  }
  assert.deepEqual(waits.slice(0, 4), [1000, 2000, 4000, 8000]);
  assert.equal(waits.at(-1), 15 * 60_000);
  throttle.failed('ana', '192.0.2.1');
  // Somebody else cannot lock the account for longer than this.
  assert.equal(throttle.waitMs('ana', '198.51.100.1'), 30_000);
  assert.equal(throttle.waitMs('ben', '198.51.100.1'), 0);
  throttle.succeeded('ana');
  assert.equal(throttle.waitMs('ana', '198.51.100.1'), 0);
  assert.ok(throttle.waitMs('ana', '192.0.2.1') > 0);
});

test('an IPv6 subscriber is one address', () => {
  const throttle = new Throttle(() => 0);
  for (let host = 1; host <= 6; host++) throttle.failed(`user${host}`, `2001:db8::1:${host}`);
  assert.ok(throttle.waitMs('ana', '2001:db8:0:0:9::9') > 0);
  assert.equal(throttle.waitMs('ana', '2001:db8:0:1::1'), 0);
});

test('one-time codes are asked for once confirmed, count once, and one step early or late', () =>
  withAccess(async (opened) => {
    const { access, commit, clock } = opened;
    await ana(opened);
    const { signIn, users } = access;
    const enter = async (given: string | undefined) => {
      const { change } = await signIn.check({ user: 'ana', password, code: given }, null);
      await users.update('ana', () => change, commit);
    };
    const { secret, uri } = await signIn.beginTotp('ana', commit);
    assert.match(uri, /^otpauth:\/\/totp\/Vivarium:ana\?/);
    await enter(undefined); // not confirmed yet
    await assert.rejects(signIn.confirmTotp('ana', '000000', null, commit), /this code is wrong/);
    await signIn.confirmTotp('ana', totp(secret, clock.at), null, commit);
    await assert.rejects(enter(undefined), (error: Error & { details: unknown }) => {
      assert.deepEqual(error.details, { needs: 'code' });
      return true;
    });
    await assert.rejects(enter(totp(secret, clock.at)), /wrong/); // used by the confirmation
    clock.at += 30_000;
    await enter(totp(secret, clock.at + 30_000)); // one step early
    await assert.rejects(enter(totp(secret, clock.at)), /wrong/); // older than the used one
    clock.at += 120_000;
    await enter(totp(secret, clock.at - 30_000)); // one step late
    await assert.rejects(enter(totp(secret, clock.at + 60_000)), /wrong/); // two steps early
    await assert.rejects(signIn.beginTotp('ana', commit), /has one-time codes already/);
  }));

test('a recovery code stands for a one-time code, once', () =>
  withAccess(async (opened) => {
    const { access, commit, clock } = opened;
    await ana(opened);
    const { secret } = await access.signIn.beginTotp('ana', commit);
    const { recoveryCodes } = await access.signIn.confirmTotp('ana', totp(secret, clock.at), null, commit);
    assert.equal(new Set(recoveryCodes).size, 10);
    const [first = ''] = recoveryCodes;
    const { change, method } = await access.signIn.check({ user: 'ana', password, code: first.toUpperCase() }, null);
    assert.equal(method, 'recovery-code');
    await access.users.update('ana', () => change, commit);
    await assert.rejects(access.signIn.check({ user: 'ana', password, code: first }, null), /wrong/);
    assert.ok(!JSON.stringify(access.users.get('ana')).includes(first.replaceAll('-', '')));
  }));

test('a session ends when it is not used, after its longest life, at sign-out and with its user', () =>
  withAccess(async (opened) => {
    const { access, commit, clock, store, again } = opened;
    const user = await ana(opened);
    const from = { address: '192.0.2.1', client: 'test' };
    const begin = async () => {
      const begun = access.sessions.begin(user.id, 'password', from);
      await write(commit, ...begun.writes);
      return begun;
    };
    const { secret, session } = await begin();
    assert.ok(!JSON.stringify(await store.list('')).includes(secret), 'the secret is in the store');
    assert.equal((await again()).bySecret(secret, null)?.name, 'ana');
    const hour = 3_600_000;
    clock.at += 11 * hour;
    assert.equal(access.bySecret(secret, null)?.name, 'ana');
    clock.at += 11 * hour;
    assert.equal(access.bySecret(secret, null)?.name, 'ana', 'its use extends it');
    clock.at += 13 * hour;
    assert.equal(access.bySecret(secret, null), undefined, 'not used for 13 hours');
    const second = await begin();
    for (let step = 0; step < 8 * 4; step++) {
      clock.at += 6 * hour;
      access.bySecret(second.secret, null);
    }
    assert.equal(access.bySecret(second.secret, null), undefined, 'older than a week');
    const third = await begin();
    const identity = access.bySecret(third.secret, null);
    assert.equal(identity?.isValid(), true);
    await access.sessions.end(third.session.id, null, commit);
    assert.equal(identity?.isValid(), false);
    await assert.rejects(access.sessions.end(session.id, null, commit), /there is no session/);
  }));

test('links and tickets count once and not for long', () =>
  withAccess(async ({ access, clock }) => {
    const by = access.daemon().ref;
    const { secret } = access.tickets.make({ vm: 'v1', kind: 'console', by });
    assert.equal(access.tickets.redeem(secret)?.vm, 'v1');
    assert.equal(access.tickets.redeem(secret), undefined);
    const late = access.tickets.make({ vm: 'v1', kind: 'console', by });
    clock.at += 30_000;
    assert.equal(access.tickets.redeem(late.secret), undefined);
    const link = access.links.make({ kind: 'set-up' });
    clock.at += 15 * 60_000 - 1;
    assert.deepEqual(access.links.redeem(link.secret), { kind: 'set-up' });
  }));
