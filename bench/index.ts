// The speed of Vivarium in figures, beside bare programs and peers, in one run:
//   npm run bench [-- --only list,start] [--rounds 5] [--json FILE]
// --rounds: how often list, start and traffic measure, where each time takes long (an emulated host).
// VMs are made from `tiny`, taken from the homes in VIV_IMAGES or else from this user's own.
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { pathsOf } from '../test/paths-of.ts';
import { type Figure, holds } from './measure.ts';

const benches: Readonly<Record<string, () => Promise<Figure[]>>> = {
  list: async () => (await import('./list.ts')).list(),
  start: async () => (await import('./start.ts')).start(),
  exec: async () => (await import('./exec.ts')).exec(),
  store: async () => (await import('./store.ts')).store(),
  daemon: async () => (await import('./daemon.ts')).daemon(),
  fork: async () => (await import('./fork.ts')).fork(),
  memory: async () => (await import('./memory.ts')).memory(),
  warmPool: async () => (await import('./warm-pool.ts')).warmPool(),
  boot: async () => (await import('./boot.ts')).boot(),
  traffic: async () => (await import('./traffic.ts')).traffic(),
  firewall: async () => (await import('./firewall.ts')).firewall(),
  resource: async () => (await import('./resource.ts')).resource(),
  watch: async () => (await import('./watch.ts')).watch(),
};

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
for (const name of desired) {
  for (const figure of (await benches[name]?.()) ?? []) {
    const kept = holds(figure);
    all.push({ bench: name, ...figure, holds: kept });
    const target = figure.target === null ? '' : `${figure.unit === 'requests/s' ? '>=' : '<='} ${figure.target}`;
    const line = [name.padEnd(8), figure.name.padEnd(58), `${round(figure.value)} ${figure.unit}`.padStart(16), target.padStart(9)];
    process.stdout.write(`${line.join('  ')}  ${kept === null ? '' : kept ? 'kept' : 'MISSED'}${figure.note ? ` ${figure.note}` : ''}\n`);
  }
}
if (values.json !== undefined) {
  const vm = { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release(), node: process.version };
  writeFileSync(values.json, `${JSON.stringify({ at: new Date().toISOString(), vm, figures: all }, null, 2)}\n`);
}
process.exitCode = all.some((figure) => figure.holds === false) ? 1 : 0;

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
