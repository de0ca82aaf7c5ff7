// A host of its own for a test: the real daemon in a folder of its own, over fake-qemu or real QEMU. Disposing of it ends
// every process it has started and removes the folder, and fails where something of it is left.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Paths } from '../../src/host/paths.ts';
import { hostTable } from '../../src/network/kernel/interface-names.ts';
import { type Client, connect } from '../../src/sdk/index.ts';
import { startDaemon } from '../../src/sdk/start-daemon.ts';
import { eventually, patienceMs } from '../eventually.ts';
import { pathsOf } from '../paths-of.ts';
import { removeGroups } from './vm-groups.ts';

const fakeQemu = fileURLToPath(new URL('../fake-qemu/fake-qemu.mjs', import.meta.url));

export interface TestHost extends AsyncDisposable {
  readonly stateDirectory: string;
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  readonly client: Client;
  /** Pid of the daemon that runs now. */
  readonly pid: number;
  /** Starts a daemon (again), with further variables. */
  start(env?: NodeJS.ProcessEnv): Promise<void>;
  /** kill -9 of the daemon; resolves when it has gone. */
  kill(): Promise<void>;
  /** `viv down`. */
  down(): Promise<void>;
  /** Resolves when every task that runs has ended. */
  settled(): Promise<void>;
  /** Resolves when this has been told so many times, `name` being whom it is about, since the event with the number `after`. */
  happened(type: string, about?: { name?: string; times?: number; after?: number }): Promise<void>;
  /** Pids of this host's QEMU processes by VM id, as the system sees them. */
  qemus(): Promise<Map<string, number[]>>;
  /** Pids of the swtpm processes of its VMs. */
  tpms(): Promise<number[]>;
}

export async function testHost(options: { qemu: 'fake' | 'real'; env?: NodeJS.ProcessEnv; parent?: string }): Promise<TestHost> {
  const stateDirectory = await realpath(await mkdtemp(join(options.parent ?? tmpdir(), 'viv-test-')));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    VIV_HOME: stateDirectory,
    VIV_RESERVE_BYTES: '1048576',
    VIV_DEFAULT_NETWORK: 'user', // tests of the networks ask for them
    VIV_HOST_NAMES: 'none', // /etc/hosts is this VM's
    VIV_TEST_CHECK: '1', // an answer or an error that the contract does not declare fails the test
    ...(options.qemu === 'fake'
      ? {
          VIV_QEMU_X86_64: join(stateDirectory, 'fake-qemu.mjs'),
          FAKE_QEMU_CONTROL: join(stateDirectory, 'fake-qemu.json'),
          VIV_QEMU_FILES: [dirname(process.execPath), join(stateDirectory, 'fake-qemu.json')].join(':'),
        }
      : {}),
    ...options.env,
  };
  const uid = process.getuid?.() ?? 0;
  const paths = pathsOf(env, uid);
  if (options.qemu === 'fake') {
    // A copy, which tests replace.
    await copyFile(fakeQemu, join(stateDirectory, 'fake-qemu.mjs'));
    // There before its first process: that finds it by its mount.
    await writeFile(join(stateDirectory, 'fake-qemu.json'), '{}', { mode: 0o644 });
    await chmod(join(stateDirectory, 'fake-qemu.json'), 0o644);
    await chmod(stateDirectory, 0o711);
    await publishFakeImages(paths);
  }
  const marker = `viv-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}-`;
  let client: Client | undefined;
  let pid = 0;

  const host: TestHost = {
    stateDirectory,
    paths,
    env,
    get client() {
      if (!client) throw new Error('no daemon has been started');
      return client;
    },
    get pid() {
      return pid;
    },
    async start(more = {}) {
      await startDaemon({ env: { ...env, ...more }, paths });
      client?.close();
      client = await connect({ socket: paths.apiSocket, start: false });
      pid = (await client.host.status({})).pid;
    },
    async kill() {
      process.kill(pid, 'SIGKILL');
      await gone(pid);
    },
    async down() {
      await client?.host.shutdown({});
      await gone(pid);
    },
    async settled() {
      for (const { id } of await host.client.task.list({ state: 'running', limit: 1000 }))
        for await (const { state } of host.client.task.follow({ task: id })) if (state !== 'running') break;
    },
    async happened(type, { name, times = 1, after = 0 } = {}) {
      let seen = 0;
      for await (const event of host.client.events({ after, signal: AbortSignal.timeout(patienceMs) }))
        if (event.type === type && (name === undefined || event.name === name) && ++seen === times) return;
    },
    qemus: async () => {
      const found = new Map<string, number[]>();
      for (const entry of await readdir('/proc')) {
        if (!/^\d+$/.test(entry)) continue;
        const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
        const id = new RegExp(`${marker}([a-z0-9]+)`).exec(line)?.[1];
        if (id !== undefined && !line.includes('vivarium-confine\0')) found.set(id, [...(found.get(id) ?? []), Number(entry)]);
      }
      return found;
    },
    tpms: async () => {
      const lines = await Promise.all(
        (await readdir('/proc'))
          .filter((entry) => /^\d+$/.test(entry))
          .map(async (entry) => ({ pid: Number(entry), line: await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '') })),
      );
      return lines.filter(({ pid, line }) => line.includes(`\0--tpmstate\0dir=${paths.vms}/`) && alive(pid)).map(({ pid }) => pid);
    },
    async [Symbol.asyncDispose]() {
      client?.close();
      if (pid !== 0 && alive(pid)) await host.kill();
      for (const pids of (await host.qemus()).values()) {
        for (const qemu of pids) {
          if (alive(qemu)) process.kill(qemu, 'SIGKILL');
          await gone(qemu);
        }
      }
      // Those that a fake QEMU has never spoken to.
      for (const tpm of await host.tpms()) {
        process.kill(tpm, 'SIGKILL');
        await gone(tpm);
      }
      for (const pid of await networkProcesses(paths.network)) {
        process.kill(pid, 'SIGKILL');
        await gone(pid);
      }
      // What the host was given for its networks, which the daemon would have taken back.
      if (process.getuid?.() === 0) spawnSync('nft', ['delete', 'table', 'inet', hostTable(stateDirectory)]); // most have none
      await removeGroups(stateDirectory);
      const undeclared = (await readFile(paths.daemonLog, 'utf8').catch(() => '')).match(/[\w.]+ does not declare the error [^"]*/g);
      await rm(stateDirectory, { recursive: true, force: true });
      await rm(paths.run, { recursive: true, force: true });
      if (undeclared) throw new Error(`the contract is incomplete: ${[...new Set(undeclared)].join('; ')}`);
    },
  };
  return host;
}

/** What keeps a host's networks: the namespace's holder, the dnsmasqs, what records flows. */
export async function networkProcesses(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(`${folder}/`) || line.includes(`\0${folder}\0`)) found.push(Number(entry));
  }
  return found;
}

/** False once all its threads have ended; until then it still holds its sockets. */
export function alive(pid: number): boolean {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '');
    return !fields.startsWith('Z') || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  await eventually(`process ${pid} ends`, () => !alive(pid));
}

/** Images that fake-qemu never reads: a kernel image `tiny` and a disk image `disk`, small and quickly made. */
export async function publishFakeImages(paths: Paths): Promise<void> {
  const disk = join(paths.stateDirectory, 'disk.qcow2');
  await mkdir(paths.stateDirectory, { recursive: true });
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '16M']);
  const content = await readFile(disk);
  await rm(disk);
  for (const [name, cloudInit] of [
    ['tiny', false],
    ['disk', true],
  ] as const) {
    const digest = createHash('sha256').update(name).digest('hex');
    const folder = join(paths.images, digest);
    await mkdir(folder, { recursive: true });
    const files = { vmlinuz: 'kernel', initrd: 'initrd', 'disk.qcow2': content } as const;
    for (const [file, bytes] of Object.entries(files)) await writeFile(join(folder, file), bytes, { mode: 0o644 });
    const manifest = {
      digest,
      names: [name],
      kind: name === 'tiny' ? 'kernel' : 'disk',
      arch: 'x86_64',
      virtualBytes: 16 * 1024 * 1024,
      source: 'built',
      createdAt: 1,
      files: Object.entries(files).map(([file, bytes]) => ({
        name: file,
        sha256: createHash('sha256').update(bytes).digest('hex'),
        sizeBytes: bytes.length,
      })),
      disk: 'disk.qcow2',
      iso: null,
      kernel: name === 'tiny' ? { file: 'vmlinuz', initrd: 'initrd', commandLine: 'console=ttyS0' } : null,
      defaults: { memoryBytes: 64 * 1024 * 1024, firmware: 'bios', cloudInit },
    };
    await writeFile(join(folder, 'image.json'), JSON.stringify(manifest), { mode: 0o644 });
  }
}
