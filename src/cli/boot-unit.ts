// The daemon as a unit of systemd, which starts it with the host: the system's for root, the user's own for everybody else.
// It is put there when the user asks for it (viv up --at-boot yes) and by nothing else.
import { guestsDeadlineMs, stateDirectoryTakenExitCode } from '../contract/ending.ts';
import { type UnitName, unitOf } from '../sdk/unit.ts';

export interface BootUnit extends UnitName {
  readonly text: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Environment variables that the daemon reads, and that a unit does not have by itself. */
const handedOn = /^(VIV_(?!DAEMON_ENTRY$|DEBUG$|TEST_).*|XDG_STATE_HOME|MALLOC_ARENA_MAX|NODE_EXTRA_CA_CERTS|https?_proxy|no_proxy)$/i;

/** What the daemon itself takes to end, on a slow host. */
const daemonEndsMs = 45_000;

/** Pure. `stateDirectory` is absolute; `command` is what runs the daemon in the foreground. */
export function bootUnit({
  env,
  uid,
  stateDirectory,
  command,
}: {
  env: Env;
  uid: number;
  stateDirectory: string;
  command: readonly string[];
}): BootUnit {
  const asked = env['VIV_HOME'] ? { VIV_HOME: stateDirectory } : {};
  const unit = unitOf(env, uid, stateDirectory);
  const passed = Object.entries({ ...env, ...asked }).filter(([key, value]) => handedOn.test(key) && value);
  const text = [
    '# Made by: viv up --at-boot yes. Removed by: viv up --at-boot no',
    '[Unit]',
    unit.description,
    ...(uid === 0 ? ['After=network.target', `RequiresMountsFor=${quoted(stateDirectory)}`] : []),
    '',
    '[Service]',
    '# Starting it fails where its program has gone.',
    'Type=exec',
    ...passed.map(([key, value]) => `Environment=${quoted(`${key}=${value}`)}`),
    `ExecStart=${command.map((word) => quoted(word).replaceAll('$', '$$$$')).join(' ')}`,
    'Restart=on-failure',
    'RestartSec=2',
    '# Another daemon serves this state directory.',
    `RestartPreventExitStatus=${stateDirectoryTakenExitCode}`,
    '# VMs are processes of their own: they outlive the daemon, and the end of one is not the end of the others.',
    'KillMode=process',
    `# When the host shuts down, the daemon has the guests shut down first (${guestsDeadlineMs / 1000} s).`,
    `TimeoutStopSec=${(guestsDeadlineMs + daemonEndsMs) / 1000}`,
    'OOMPolicy=continue',
    'TasksMax=infinity',
    '',
    '[Install]',
    `WantedBy=${unit.desiredBy}.target`,
    '',
  ].join('\n');
  return { ...unit, text };
}

/** One word of a setting, as systemd.syntax(7) has it. */
const quoted = (word: string) => `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('%', '%%')}"`;
