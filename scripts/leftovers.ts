// Whether the tests left anything behind: processes, mounts, network namespaces, temporary folders, rules and names on the host, before and after.
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';

const kinds = ['processes', 'mounts', 'namespaces', 'folders', 'tables', 'names'] as const;
type Findings = Record<(typeof kinds)[number], string[]>;

const ours = /\bviv-(proof-)?[0-9a-f]{8}(-[a-z0-9]+)?\b|fake-qemu\.mjs|(src|dist|\.build)\/daemon\.[jt]s|viv-test-\w+\/run\/network\b/;

async function look(): Promise<Findings> {
  const processes: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
    if (ours.test(line)) processes.push(`${pid} ${line.slice(0, 200)}`);
  }
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').filter((line) => /viv/.test(line.split(' ')[1] ?? ''));
  const namespaces = await readdir('/run/netns').catch(() => []);
  const folders = (await readdir(tmpdir())).filter((name) => name.startsWith('viv-'));
  const tables = await promisify(execFile)('nft', ['list', 'tables']).then(
    ({ stdout }) => stdout.split('\n').filter((line) => /\bviv_/.test(line)),
    () => [], // an ordinary user sees none, and makes none
  );
  const names = (await readFile('/etc/hosts', 'utf8')).split('\n').filter((line) => line.startsWith('# Vivarium '));
  return { processes, mounts, namespaces, folders, tables, names };
}

const [verb, file = ''] = process.argv.slice(2);
if (verb === 'save') await writeFile(file, JSON.stringify(await look()));
else {
  const before = JSON.parse(await readFile(file, 'utf8')) as Findings;
  const after = await look();
  for (const kind of kinds) {
    for (const one of after[kind].filter((name) => !before[kind].includes(name))) {
      console.error(`left behind, ${kind}: ${one}`);
      process.exitCode = 1;
    }
  }
}
