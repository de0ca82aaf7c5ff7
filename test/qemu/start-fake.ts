// Starts fake-qemu through startQemu, with the arguments that a VM gets.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { qemuArguments } from '../../src/qemu/args/build.ts';
import { type QemuProcess, startQemu } from '../../src/qemu/process.ts';

export const fakeQemu = fileURLToPath(new URL('../fake-qemu/fake-qemu.mjs', import.meta.url));

export interface FakeQemu {
  readonly process: QemuProcess;
  readonly marker: string;
  readonly qmpPath: string;
  readonly processFile: string;
  readonly logFile: string;
}

/** Its files are in `folder` and begin with `name`; `control` is what fake-qemu.mjs says it reads. */
export async function startFake(
  folder: string,
  options: { name?: string; control?: object; incoming?: boolean; guestName?: string; processFile?: string } = {},
): Promise<FakeQemu> {
  const name = options.name ?? 'one';
  const at = (file: string) => join(folder, `${name}-${file}`);
  const marker = `vivtest-${folder.slice(-6)}-${name}`;
  const qmpPath = at('qmp.sock');
  const processFile = options.processFile ?? at('process.json');
  await writeFile(at('control.json'), JSON.stringify(options.control ?? {}));
  process.env['FAKE_QEMU_CONTROL'] = at('control.json');
  const started = await startQemu({
    binary: fakeQemu,
    args: qemuArguments({
      id: marker,
      name: options.guestName ?? name,
      uuid: '6f0e2f5c-8f0e-4f4c-9d53-0c4f8e0f5a11',
      arch: 'x86_64',
      machineType: 'pc-q35-10.0',
      accel: 'tcg',
      memory: 'plain',
      cpus: 1,
      ...{ maxCpus: null, cpuModel: 'default', cpuFeatures: [], balloon: null, hugepages: false, ksm: false },
      memoryBytes: 64 * 2 ** 20,
      firmware: { type: 'bios' },
      kernel: null,
      disks: [],
      nics: [],
      hotplug: null,
      sockets: { qmp: qmpPath, serial: at('serial.sock'), agent: at('agent.sock'), qga: at('qga.sock'), vnc: at('vnc.sock') },
      serialLog: at('serial.log'),
      tpm: null,
      incoming: options.incoming ?? false,
    }),
    marker,
    confinement: null,
    processFile,
    logFile: at('qemu.log'),
    memory: null,
    tpm: null,
    through: [],
    signal: AbortSignal.timeout(60_000),
  });
  return { process: started, marker, qmpPath, processFile, logFile: at('qemu.log') };
}
