// The firewall of 200 networks with 1,000 NICs: reading and writing the rules, and the kernel taking them, in a network namespace that ends with it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { FirewallModel } from '../src/network/firewall/model.ts';
import { digestOf, planFor, rulesFor } from '../src/network/firewall/rules.ts';
import { large } from '../test/network/firewall/sample.ts';
import type { Figure } from './measure.ts';

const times = 15;

export async function firewall(): Promise<Figure[]> {
  const root = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const holder = spawn('unshare', [...root, '--net', '--fork', '--kill-child', 'sh', '-c', 'echo ready; read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await once(holder.stdout, 'data');
    const inside = spawnSync('cat', [`/proc/${holder.pid}/task/${holder.pid}/children`], { encoding: 'utf8' }).stdout.trim();
    const enter = ['--target', inside, '--net', ...(root.length > 0 ? ['--user', '--preserve-credentials'] : []), '--'];
    const take = (script: string): number => {
      const before = performance.now();
      const { status, stderr } = spawnSync('nsenter', [...enter, 'nft', '-f', '-'], { input: script, encoding: 'utf8' });
      if (status !== 0) throw new Error(`nft: ${stderr.slice(0, 500)}`);
      return performance.now() - before;
    };
    let model = large(200, 1000);
    const written = performance.now();
    const script = rulesFor(model);
    const writing = performance.now() - written;
    const whole = writing + take(script);
    const whys: number[] = [];
    for (let time = 0; time < times; time++) {
      const changed = withRule(model, time);
      const before = performance.now();
      const plan = planFor(changed, model, digestOf(model));
      take(plan.script);
      whys.push(performance.now() - before);
      model = changed;
    }
    const half = large(100, 500);
    const smaller = performance.now();
    rulesFor(half);
    return [
      figure('rules of 200 networks, 1,000 NICs: from nothing', whole, 1000),
      figure('rules of 200 networks, 1,000 NICs: written', writing, null),
      figure('rules of 100 networks, 500 NICs: written', performance.now() - smaller, null),
      figure(
        'one group changed among 1,000 NICs, until the kernel has it',
        whys.sort((one, other) => one - other)[times >> 1] ?? Number.NaN,
        50,
      ),
    ];
  } finally {
    holder.kill('SIGKILL');
  }
}

function withRule(model: FirewallModel, time: number): FirewallModel {
  const rule = { direction: 'in', protocol: 'udp', ports: { from: 1000 + time, to: 1000 + time }, remote: { kind: 'any' } } as const;
  return { ...model, groups: model.groups.map((group, at) => (at === 3 ? { ...group, rules: [...group.rules, rule] } : group)) };
}

function figure(name: string, value: number, target: number | null): Figure {
  return { name, value, unit: 'ms', target };
}
