// The daemon, started in the network that VIV_TEST_NETWORK names: this process becomes it, so its pid stays. With VIV_TEST_USER it is that user's,
// on a host that lets everybody open /dev/net/tun.
import { fileURLToPath } from 'node:url';

const daemon = fileURLToPath(new URL('../../src/daemon.ts', import.meta.url));
const { VIV_TEST_NETWORK: network = '', VIV_TEST_USER: user = '', ...env } = process.env;
const node = [process.execPath, ...process.execArgv, daemon];
const become = `
mount -t tmpfs tmpfs /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun && chown -R "$1:$1" "$VIV_HOME" || exit
user=$1; shift
exec setpriv --reuid="$user" --regid="$user" --clear-groups -- "$@"
`;
const words = user === '' ? node : ['unshare', '--mount', 'sh', '-c', become, 'sh', user, ...node];
process.execve?.('/usr/bin/nsenter', ['nsenter', `--net=${network}`, '--', ...words], env as NodeJS.ProcessEnv & Record<string, string>);
