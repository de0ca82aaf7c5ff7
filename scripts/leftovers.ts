// Whether the tests left anything behind: our processes, mounts, network namespaces and temporary folders, before and after.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';

type Findings = Record<'processes' | 'mounts' | 'namespaces' | 'folders', string[]>;

const ours = /\bviv-[0-9a-f]{8}-[a-z0-9]+|fake-qemu\.mjs|(src|dist|\.build)\/daemon\.[jt]s|viv-test-\w+\/run\/network\b/;

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
  return { processes, mounts, namespaces, folders };
}

const [verb, file = ''] = process.argv.slice(2);
if (verb === 'save') await writeFile(file, JSON.stringify(await look()));
else {
  const before = JSON.parse(await readFile(file, 'utf8')) as Findings;
  const after = await look();
  for (const kind of ['processes', 'mounts', 'namespaces', 'folders'] as const) {
    for (const one of after[kind].filter((name) => !before[kind].includes(name))) {
      console.error(`left behind, ${kind}: ${one}`);
      process.exitCode = 1;
    }
  }
}
