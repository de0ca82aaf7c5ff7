// Real boots of what src/image/build makes. Needs a Debian mirror, QEMU and the guest agent's binary; takes about half a minute.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GiB } from '../../src/contract/field.ts';
import { buildCatalogImage } from '../../src/image/build/index.ts';
import type { BuiltImage } from '../../src/image/build/types.ts';
import { createOverlay } from '../../src/storage/disk.ts';
import { pathsOf } from '../paths-of.ts';

let folder: string;
let image: BuiltImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-image-'));
  const staging = await mkdtemp(join(folder, 'staging-'));
  const signal = AbortSignal.timeout(800_000);
  const lines: string[] = [];
  image = await buildCatalogImage('tiny', {
    arch: 'x86_64',
    staging,
    paths: pathsOf({ VIV_HOME: folder }, 0),
    signal,
    progress: () => {},
    log: (line) => lines.push(line),
  });
  assert.deepEqual((await readdir(staging)).sort(), ['initrd', 'root.qcow2', 'vmlinuz'], 'the finished files and nothing else');
  await createOverlay(join(folder, 'disk.qcow2'), { backing: join(staging, 'root.qcow2'), sizeBytes: 1 * GiB });
  Object.assign(image, { staging });
});

after(() => rm(folder, { recursive: true, force: true }));

/** A booted guest on its serial line. */
class Guest {
  readonly process: ChildProcess;
  readonly qmp: string;
  #seen = '';
  #changed: () => void = () => {};

  constructor() {
    const { kernel, staging } = image as BuiltImage & { staging: string };
    assert.ok(kernel);
    this.qmp = join(folder, 'qmp.sock');
    this.process = spawn(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-M', 'q35,accel=tcg', '-cpu', 'max', '-m', '256', '-serial', 'stdio'],
        ...[
          '-kernel',
          join(staging, kernel.file),
          '-initrd',
          join(staging, kernel.initrd),
          '-append',
          `${kernel.commandLine} vivarium.hostname=otter`,
        ],
        ...['-drive', `if=none,id=root,format=qcow2,file=${join(folder, 'disk.qcow2')}`, '-device', 'virtio-blk-pci,drive=root'],
        ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile=', '-qmp', `unix:${this.qmp},server=on,wait=off`],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    this.process.stdout?.on('data', (bytes: Buffer) => {
      this.#seen += bytes.toString('latin1');
      this.#changed();
    });
  }

  /** What was printed, once it matches. */
  async sees(pattern: RegExp, timeoutMs = 180_000): Promise<RegExpExecArray> {
    const deadline = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const match = pattern.exec(this.#seen);
      if (match) return match;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#changed = resolve;
      const late = () => reject(new Error(`${pattern} was not printed; the last lines are: ${this.#seen.slice(-800)}`));
      deadline.addEventListener('abort', late, { once: true });
      await promise.finally(() => deadline.removeEventListener('abort', late));
    }
  }

  type(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  async powerButton(): Promise<void> {
    const socket: Socket = connect(this.qmp);
    await once(socket, 'connect');
    socket.write('{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n');
    const ended = once(this.process, 'exit', { signal: AbortSignal.timeout(120_000) });
    const [code] = (await ended) as [number | null];
    socket.destroy();
    assert.equal(code, 0);
  }

  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }
}

test('tiny boots with its name, an address and a grown disk, and written data survives the power button', async () => {
  const first = new Guest();
  try {
    await first.sees(/root@otter:~#/);
    // Split, so that the echo of what is typed does not match.
    first.type(
      'until ip addr show eth0 | grep -q "inet 10.0.2.15" && [ "$(df -m / | awk \'END{print $2}\')" -gt 900 ]; do usleep 100000; done; echo kept >/root/note; sync; echo rea""dy',
    );
    await first.sees(/\nready/);
    await first.powerButton();
  } finally {
    await first.end();
  }
  const second = new Guest();
  try {
    await second.sees(/root@otter:~#/);
    second.type('echo "note: $(cat /root/note)"');
    await second.sees(/\nnote: kept/);
  } finally {
    await second.end();
  }
});
