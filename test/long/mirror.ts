// What a Debian guest's packages come from.
import type { Vm } from '../../src/sdk/index.ts';

/** Null when the guest reaches its first mirror; else why not, as a test that is skipped says it. */
export async function whyNoMirror(debian: Vm): Promise<string | null> {
  const sh = (script: string) => debian.exec(['bash', '-c', script], { timeoutMs: 60_000 });
  const { stdout } = await sh("sed -n 's/^deb [^h]*\\(http[^ ]*\\) .*/\\1/p' /etc/apt/sources.list | head -n 1");
  const { hostname, port } = new URL(stdout.trim());
  const { exitCode, stderr } = await sh(`timeout 30 bash -c 'exec 3<>/dev/tcp/${hostname}/${port || 80}'`);
  return exitCode === 0 ? null : `${stdout.trim()} cannot be reached from the guest: ${stderr.trim()}`;
}
