// The speed of Vivarium in figures, beside bare programs and peers, in one run:
//   npm run bench [-- --only list,start] [--rounds 5] [--json FILE]
// --rounds: how often list, start and traffic measure, where each time takes long (an emulated host).
// VMs are made from `tiny`, taken from the homes in VIV_IMAGES or else from this user's own.
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { findProgram } from '../src/host/process/find-program.ts';
import { pathsOf } from '../test/paths-of.ts';
import { type Figure, holds } from './measure.ts';

const benches: Readonly<Record<string, () => Promise<Figure[]>>> = {
  list: async () => (await import('./list.ts')).list(),
  access: async () => (await import('./access.ts')).access(),
  start: async () => (await import('./start.ts')).start(),
  exec: async () => (await import('./exec.ts')).exec(),
  store: async () => (await import('./store.ts')).store(),
  daemon: async () => (await import('./daemon.ts')).daemon(),
  fork: async () => (await import('./fork.ts')).fork(),
  capture: async () => (await import('./capture.ts')).capture(),
  memory: async () => (await import('./memory.ts')).memory(),
  warmPool: async () => (await import('./warm-pool.ts')).warmPool(),
  boot: async () => (await import('./boot.ts')).boot(),
  traffic: async () => (await import('./traffic.ts')).traffic(),
  firewall: async () => (await import('./firewall.ts')).firewall(),
  resource: async () => (await import('./resource.ts')).resource(),
  watch: async () => (await import('./watch.ts')).watch(),
  metrics: async () => (await import('./metrics.ts')).metrics(),
  minimumMemory: async () => (await import('./minimum-memory.ts')).minimumMemory(),
};

/** Programs that a figure cannot be measured without, and the Debian package that has each. Where one is missing the figure is left out. */
const needs: Readonly<Record<string, Readonly<Record<string, string>>>> = { traffic: { iperf3: 'iperf3' }, firewall: { nft: 'nftables' } };
/** Needed only for a comparison with a peer. */
const peers = { virsh: 'libvirt-clients libvirt-daemon-system', 'virt-clone': 'virtinst' };

const { values } = parseArgs({ options: { only: { type: 'string' }, rounds: { type: 'string' }, json: { type: 'string' } } });
const desired = values.only?.split(',') ?? Object.keys(benches);
const unknown = desired.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) throw new Error(`--only: no such figure: ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`);

if (values.rounds !== undefined) {
  if (!/^[1-9]\d*$/.test(values.rounds)) throw new Error(`--rounds: a number is needed, not ${values.rounds}`);
  process.env['VIV_BENCH_ROUNDS'] = values.rounds;
}

const paths = pathsOf(process.env, process.getuid?.() ?? 0);
process.env['VIV_IMAGES'] = [...paths.sharedImages, paths.images].join(':');
delete process.env['VIV_HOME'];

const all: (Figure & { bench: string; holds: boolean | null })[] = [];
const failed: string[] = [];
for (const [program, packages] of Object.entries(peers))
  if ((await findProgram(program, process.env)) === null)
    say(`${program} is not installed, so what it does is not compared with libvirt; install it with: apt-get install ${packages}`);
for (const name of desired) {
  const missing = await missingPackages(name);
  if (missing.length > 0) {
    say(`${name}: left out, because programs are missing; install them with: apt-get install ${missing.join(' ')}`);
    continue;
  }
  try {
    for (const figure of (await benches[name]?.()) ?? []) print(name, figure);
  } catch (error) {
    failed.push(name);
    say(`${name}: failed: ${(error as Error).message}`);
  }
}
const ratios = all.filter(({ unit }) => unit === 'x');
if (ratios.length > 0) process.stdout.write('\nRatios\n');
for (const { bench, name, value, target } of ratios)
  process.stdout.write(`${bench.padEnd(10)}${name.padEnd(60)}${round(value)}${target === null ? '' : ` (at most ${target})`}\n`);
if (values.json !== undefined) {
  const vm = { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release(), node: process.version };
  writeFileSync(values.json, `${JSON.stringify({ at: new Date().toISOString(), vm, figures: all }, null, 2)}\n`);
}
process.exitCode = failed.length > 0 || all.some((figure) => figure.holds === false) ? 1 : 0;

async function missingPackages(name: string): Promise<string[]> {
  const found = Object.entries(needs[name] ?? {}).map(async ([program, packages]) =>
    (await findProgram(program, process.env)) === null ? [packages] : [],
  );
  return (await Promise.all(found)).flat();
}

function print(name: string, figure: Figure): void {
  const kept = holds(figure);
  all.push({ bench: name, ...figure, holds: kept });
  const target = figure.target === null ? '' : `${figure.unit === 'requests/s' ? '>=' : '<='} ${figure.target}`;
  const line = [name.padEnd(8), figure.name.padEnd(58), `${round(figure.value)} ${figure.unit}`.padStart(16), target.padStart(9)];
  process.stdout.write(`${line.join('  ')}  ${kept === null ? '' : kept ? 'kept' : 'MISSED'}${figure.note ? ` ${figure.note}` : ''}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
