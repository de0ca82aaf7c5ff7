// The daemon, started in the network that VIV_TEST_NETWORK names: this process becomes it, so its pid stays.
import { fileURLToPath } from 'node:url';

const daemon = fileURLToPath(new URL('../../src/daemon.ts', import.meta.url));
const { VIV_TEST_NETWORK: network = '', ...env } = process.env;
const args = ['nsenter', `--net=${network}`, '--', process.execPath, ...process.execArgv, daemon];
process.execve?.('/usr/bin/nsenter', args, env as NodeJS.ProcessEnv & Record<string, string>);
