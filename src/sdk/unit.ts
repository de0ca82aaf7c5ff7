// The systemd unit that starts the daemon of a state directory at boot: its name and its place. `viv up --at-boot yes` installs it
// (cli/boot-unit.ts); a client that finds no daemon starts this unit instead of a daemon of its own (start-unit.ts).
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface UnitName {
  /** vivarium.service, or one of its own for a VIV_HOME */
  readonly name: string;
  readonly file: string;
  /** The target that wants it, without its suffix. */
  readonly desiredBy: 'multi-user' | 'default';
  /** The line that names its state directory. */
  readonly description: string;
}

/** The system's for root, the user's own for everybody else. Pure. */
export function unitOf(env: Readonly<Record<string, string | undefined>>, uid: number, stateDirectory: string): UnitName {
  const name = env['VIV_HOME']
    ? `vivarium-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}.service`
    : 'vivarium.service';
  const own = () => join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'systemd/user');
  return {
    name,
    file: join(uid === 0 ? '/etc/systemd/system' : own(), name),
    desiredBy: uid === 0 ? 'multi-user' : 'default',
    description: `Description=Vivarium, virtual machines of ${unitText(stateDirectory)}`,
  };
}

/** Percent signs stand for something in a unit, line ends end a setting. */
const unitText = (text: string) => text.replaceAll('%', '%%').replaceAll('\n', ' ');
