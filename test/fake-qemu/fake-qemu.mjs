#!/usr/bin/env node
// An executable that behaves like QEMU toward the daemon: same arguments, sockets, QMP, serial log, saved states. It runs no
// guest. For failures that real QEMU will not produce on demand, it reads the JSON file named by FAKE_QEMU_CONTROL:
//   dieAtStart   words for standard error; it ends at once with exit code 1
//   version      what --version says instead of 10.0.2
//   silent       true: it opens no sockets
//   refuse       { command: words }: answered with an error
//   dieOn        { command: words }: it ends with exit code 1 instead of answering
//   screen       what is written by `screendump` instead of a picture
//   guestMemory  { available, total } in bytes: its guest has a balloon driver, which reports this
//   clings       true: its guest never lets go of a card
//   agent        true: its guest has an agent, which does nothing and says that all went well
//   stallOn      [command], or { VM id: [command] }: it stops itself (SIGSTOP) before it carries the command out
//   record       true: it names each command on standard error
//   ignore       [command]: never answered; `system_powerdown` in it: the guest does not shut down
// On SIGUSR2 it reads the file again and does what `now` says: { emit: [[event, data]...], status, exit: code, words }.
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

const args = process.argv.slice(2);
const control = () => {
  try {
    return JSON.parse(readFileSync(process.env.FAKE_QEMU_CONTROL ?? '', 'utf8'));
  } catch {
    return {};
  }
};

if (args[0] === '--version') {
  console.log(`QEMU emulator version ${control().version ?? '10.0.2'} (fake)`);
  process.exit(0);
}
if (args.some((arg) => arg.startsWith('isa-debug-exit'))) {
  process.stderr.write('a fake QEMU runs no guest code\n');
  process.exit(1);
}
const { dieAtStart, silent } = control();
if (dieAtStart !== undefined) {
  process.stderr.write(`qemu-system-x86_64: ${dieAtStart}\n`);
  process.exit(1);
}

/** Values of an option that is given several times. */
const valuesOf = (option) => args.flatMap((arg, index) => (args[index - 1] === option ? [arg] : []));
/** `socket,id=a,path=b,,c` -> { id: 'a', path: 'b,c' } */
const keysOf = (text) =>
  Object.fromEntries(
    text
      .replaceAll(',,', '\0')
      .split(',')
      .map((pair) => pair.replaceAll('\0', ',').split(/=(.*)/s, 2)),
  );
const chardevs = new Map(
  valuesOf('-chardev')
    .map(keysOf)
    .map((chardev) => [chardev.id, chardev]),
);

/** Name -> how many files are below it. */
const nodes = new Map(
  valuesOf('-blockdev')
    .map((text) => JSON.parse(text)['node-name'])
    .filter((name) => !name.endsWith('-file'))
    .map((name) => [name, 0]),
);

/** As QEMU tells of a node on so many others. */
const onOthers = (name, depth) => ({ 'node-name': name, ...(depth > 0 ? { backing: onOthers(`${name}-${depth}`, depth - 1) } : {}) });

/** Its guest has read and written a little since it was started, more each second. */
const startedMs = Date.now();
const diskStats = () => {
  const seconds = Math.floor((Date.now() - startedMs) / 1000);
  return {
    ...{ rd_bytes: 4096 * seconds, wr_bytes: 8192 * seconds, rd_operations: seconds, wr_operations: 2 * seconds },
    ...{ rd_total_time_ns: 1e6 * seconds, wr_total_time_ns: 4e6 * seconds, flush_operations: seconds, flush_total_time_ns: 1e6 * seconds },
  };
};

/** The nodes that devices write to. */
const drives = new Set(
  valuesOf('-device')
    .filter((text) => text.startsWith('{'))
    .map((text) => JSON.parse(text).drive)
    .filter(Boolean),
);

/** Cards' two halves, by name. Those of devices are asked for as QEMU's own tree has them. */
const named = (option) =>
  valuesOf(option)
    .filter((text) => text.startsWith('{'))
    .map((text) => JSON.parse(text).id);
const netdevs = new Set(named('-netdev'));
const devices = new Set(named('-device'));
const notFound = (what) => Object.assign(new Error(`${what} not found`), { class: 'DeviceNotFound' });

/** vCPUs: threads of this process stand for theirs, the main one excepted. */
const smp = keysOf(`first=${valuesOf('-smp')[0] ?? '1'}`);
const isCpu = (id) => /^cpu\d+$/.test(id);
const firstCpus = Number(smp.cpus ?? smp.first?.replace('cpus=', '') ?? 1);
const cpuCount = () => firstCpus + [...devices].filter(isCpu).length;
const threadOf = (nth) => {
  const threads = readdirSync('/proc/self/task').map(Number);
  return threads[1 + (nth % (threads.length - 1))];
};
const throttles = {};
let balloonBytes = Number.parseInt(valuesOf('-m')[0] ?? '0', 10) * 2 ** 20;
const withBalloon = (act) => {
  if (!devices.has('balloon')) throw Object.assign(new Error('No balloon device has been activated'), { class: 'DeviceNotActive' });
  return act();
};

let status = valuesOf('-incoming').length > 0 ? 'inmigrate' : args.includes('-S') ? 'prelaunch' : 'running';
let migration = {};
const monitors = new Set();
const send = (socket, message) => socket.write(`${JSON.stringify(message)}\r\n`);
const emit = (event, data = {}) => {
  for (const socket of monitors) send(socket, { event, data, timestamp: { seconds: 0, microseconds: 0 } });
};
const leave = (code, guest, reason) => {
  emit('SHUTDOWN', { guest, reason });
  setImmediate(() => process.exit(code));
};
const serial = (text) => {
  const { logfile } = chardevs.get('serial') ?? {};
  if (logfile) appendFileSync(logfile, text);
};

const commands = {
  qmp_capabilities: () => ({}),
  'query-status': () => ({ status, running: status === 'running' }),
  cont: () => {
    if (status === 'inmigrate') throw new Error('no state has been loaded');
    if (status !== 'running') emit('RESUME');
    status = 'running';
    return {};
  },
  stop: () => {
    if (status !== 'running') return {};
    emit('STOP');
    status = 'paused';
    return {};
  },
  quit: () => {
    leave(0, false, 'host-qmp-quit');
    return {};
  },
  system_powerdown: () => {
    emit('POWERDOWN');
    setTimeout(() => leave(0, true, 'guest-shutdown'), 5);
    return {};
  },
  system_reset: () => {
    emit('RESET', { guest: false, reason: 'host-qmp-system-reset' });
    return {};
  },
  screendump: ({ filename }) => {
    const { screen } = control();
    const grey = Uint8Array.from({ length: 640 * 480 * 3 }, (_, at) => (at / 1920) & 255);
    writeFileSync(filename, screen ?? Buffer.concat([Buffer.from('P6\n640 480\n255\n'), grey]));
    return {};
  },
  block_resize: () => ({}),
  getfd: () => ({}),
  netdev_add: ({ id }) => {
    if (netdevs.has(id)) throw new Error(`Duplicate ID '${id}' for netdev`);
    netdevs.add(id);
    return {};
  },
  netdev_del: ({ id }) => {
    if (!netdevs.delete(id)) throw notFound(`Device '${id}'`);
    return {};
  },
  device_add: ({ id, netdev }) => {
    if (devices.has(id)) throw new Error(`Duplicate device ID '${id}'`);
    if (isCpu(id)) {
      if (cpuCount() >= Number(smp.maxcpus ?? firstCpus)) throw new Error('Unable to add CPU: there is no slot for it');
      devices.add(id);
      return {};
    }
    if (!netdevs.has(netdev)) throw new Error(`Property 'virtio-net-pci.netdev' can't find value '${netdev}'`);
    devices.add(id);
    return {};
  },
  device_del: ({ id }) => {
    if (!devices.has(id)) throw notFound(`Device '${id}'`);
    // Its guest takes a moment to let go of it, or never does.
    if (!control().clings)
      setTimeout(() => {
        devices.delete(id);
        emit('DEVICE_DELETED', { device: id, path: `/machine/peripheral/${id}` });
      }, 5);
    return {};
  },
  set_link: ({ name }) => {
    if (!netdevs.has(name)) throw notFound(`Device '${name}'`);
    return {};
  },
  'qom-list': () => [...devices].map((name) => ({ name, type: 'child<device>' })),
  'query-cpus-fast': () =>
    Array.from({ length: cpuCount() }, (_, nth) => ({ 'cpu-index': nth, 'thread-id': threadOf(nth), 'qom-path': `/machine/cpu${nth}` })),
  block_set_io_throttle: (limits) => {
    const [, device] = /^\/machine\/peripheral\/([^/]+)\/virtio-backend$/.exec(limits.id) ?? [];
    if (!devices.has(device)) throw new Error(`Device '${limits.id}' not found`);
    throttles[device] = limits;
    return {};
  },
  balloon: ({ value }) =>
    withBalloon(() => {
      balloonBytes = value;
      emit('BALLOON_CHANGE', { actual: value });
      return {};
    }),
  'query-balloon': () => withBalloon(() => ({ actual: balloonBytes })),
  'qom-set': () => ({}),
  'qom-get': () =>
    withBalloon(() => {
      const { guestMemory } = control();
      const unknown = 2 ** 64;
      return {
        'last-update': guestMemory ? Math.floor(Date.now() / 1000) : 0,
        stats: {
          'stat-available-memory': guestMemory?.available ?? unknown,
          'stat-total-memory': guestMemory?.total ?? unknown,
          'stat-swap-in': unknown,
        },
      };
    }),
  /** For tests: what it was told of limits. */
  'x-limits': () => ({ throttles, balloonBytes, cpus: cpuCount() }),
  'query-block': () => [],
  'query-jobs': () => [],
  'query-blockstats': (asked) =>
    asked['query-nodes']
      ? [...nodes.keys()].map((name) => ({ 'node-name': name }))
      : [...drives].map((name) => ({
          ...onOthers(name, nodes.get(name)),
          qdev: `/machine/peripheral/${name.split('-')[0]}-dev/virtio-backend`,
          stats: diskStats(),
        })),
  'blockdev-add': (node) => {
    if (nodes.has(node['node-name'])) throw new Error(`Duplicate nodes with node-name='${node['node-name']}'`);
    nodes.set(node['node-name'], 0);
    return {};
  },
  'blockdev-del': (node) => {
    if (!nodes.has(node['node-name'])) throw new Error(`Failed to find node with node-name='${node['node-name']}'`);
    nodes.delete(node['node-name']);
    return {};
  },
  transaction: ({ actions }) => {
    for (const { data } of actions) if (!nodes.has(data.node) || nodes.get(data.overlay) !== 0) throw new Error('no such node');
    for (const { data } of actions) {
      nodes.set(data.overlay, nodes.get(data.node) + 1);
      drives.delete(data.node);
      drives.add(data.overlay);
    }
    return {};
  },
  'migrate-set-capabilities': () => ({}),
  'migrate-set-parameters': () => ({}),
  migrate: ({ channels }) => {
    if (status === 'postmigrate') throw new Error("Can't migrate the vm that was paused due to previous migration");
    writeFileSync(channels[0].addr.filename, 'the state of a fake VM');
    migration = { status: 'completed', ram: { transferred: 1, total: 1 } };
    status = 'postmigrate';
    return {};
  },
  'migrate-incoming': ({ channels }) => {
    const loaded = existsSync(channels[0].addr.filename) && readFileSync(channels[0].addr.filename, 'utf8') === 'the state of a fake VM';
    migration = loaded
      ? { status: 'completed', ram: { transferred: 1, total: 1 } }
      : { status: 'failed', 'error-desc': 'not a saved state' };
    if (loaded) status = 'paused';
    return {};
  },
  'query-migrate': () => migration,
  migrate_cancel: () => ({}),
};

/** From its name, `process=viv-<state directory>-<VM>`. */
const vmId = () => /viv-[0-9a-f]+-([a-z0-9]+)/.exec(args.join(' '))?.[1] ?? '';

function answer(socket, line) {
  const { execute, arguments: given, id } = JSON.parse(line);
  const { refuse = {}, dieOn = {}, ignore = [], stallOn = [], record } = control();
  if (record) process.stderr.write(`command ${execute}\n`);
  if ((Array.isArray(stallOn) ? stallOn : (stallOn[vmId()] ?? [])).includes(execute)) process.kill(process.pid, 'SIGSTOP');
  if (execute in dieOn) {
    process.stderr.write(`qemu-system-x86_64: ${dieOn[execute]}\n`);
    process.exit(1);
  }
  if (execute in refuse) return send(socket, { error: { class: 'GenericError', desc: refuse[execute] }, id });
  if (ignore.includes(execute)) {
    if (execute === 'system_powerdown') send(socket, { return: {}, id });
    return;
  }
  const act = commands[execute];
  if (!act) return send(socket, { error: { class: 'CommandNotFound', desc: `The command ${execute} has not been found` }, id });
  try {
    send(socket, { return: act(given ?? {}), id });
  } catch (error) {
    send(socket, { error: { class: error.class ?? 'GenericError', desc: error.message }, id });
  }
}

/** Speaks as the agent of its guest does (docs/internals/agent-protocol.md): whatever is run ends well at once. */
function answerAsAgent(socket) {
  const magic = Buffer.from('\xf1VIVARIUM-HELLO\xf2', 'latin1');
  const [hello, started, out, exited] = [130, 131, 132, 136];
  const said = { 'tar-in': 'files=0\nbytes=0\n', identity: 'done=\n' };
  const frame = (type, channel, payload) => {
    const head = Buffer.alloc(12);
    head.set([0x56, type]);
    head.writeUInt32LE(channel, 4);
    head.writeUInt32LE(payload.length, 8);
    socket.write(Buffer.concat([head, payload]));
  };
  const serve = (channel, request) => {
    const keys = new Map(request.split('\0').map((pair) => pair.split(/=(.*)/s, 2)));
    const service = keys.get('service');
    frame(started, channel, Buffer.from([1, 0, 0, 0]));
    frame(out, channel, Buffer.from(said[service] ?? ''));
    frame(exited, channel, Buffer.alloc(8));
    if (service === 'power') setTimeout(() => leave(0, true, 'guest-shutdown'), 5);
  };
  let bytes = Buffer.alloc(0);
  socket.on('data', (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (;;) {
      const greeting = bytes[0] === magic[0];
      const length = greeting ? 32 : bytes.length < 12 ? Number.POSITIVE_INFINITY : 12 + bytes.readUInt32LE(8);
      if (bytes.length < length) return;
      const one = bytes.subarray(0, length);
      bytes = bytes.subarray(length);
      if (greeting) frame(hello, 0, Buffer.concat([one.subarray(16), Buffer.from('version=fake\0arch=x86_64\0')]));
      else if (one[1] === 1) serve(one.readUInt32LE(4), one.subarray(12).toString());
    }
  });
}

const controlled = new Set(valuesOf('-mon').map((text) => keysOf(text).chardev));
const ignoreErrors = (socket) => socket.on('error', () => {});

if (!silent) {
  for (const [id, { path }] of chardevs) {
    if (!path) continue;
    const server = createServer((socket) => {
      ignoreErrors(socket);
      if (id === 'agent' && control().agent) return answerAsAgent(socket);
      if (!controlled.has(id)) return socket.resume();
      monitors.add(socket);
      socket.on('close', () => monitors.delete(socket));
      send(socket, { QMP: { version: { qemu: { major: 10, minor: 0, micro: 2 }, package: 'fake' }, capabilities: [] } });
      let rest = '';
      socket.on('data', (bytes) => {
        const lines = (rest + bytes).split('\n');
        rest = lines.pop();
        for (const text of lines) if (text.trim() !== '') answer(socket, text);
      });
    });
    server.listen(path);
  }
  // Its memory is one file that never changes, so freezing it is done already.
  const [memorySocket] = /^(.*):\+?([\d,]+)$/.exec(process.env.VIV_MEMORY ?? '')?.slice(1) ?? [];
  if (memorySocket) {
    const layers = process.env.VIV_MEMORY.replace(/^.*:\+?/, '');
    createServer((socket) => {
      ignoreErrors(socket);
      socket.on('data', () => socket.write(`ok ${layers} 0\n`));
    }).listen(memorySocket);
  }
  serial('a fake VM starts\r\n');
}

process.on('SIGUSR2', () => {
  const { now = {} } = control();
  if (now.status) status = now.status;
  for (const [event, data] of now.emit ?? []) emit(event, data);
  if (now.serial) serial(now.serial);
  if (now.words) process.stderr.write(`qemu-system-x86_64: ${now.words}\n`);
  if (now.exit !== undefined) setImmediate(() => process.exit(now.exit));
});
process.on('SIGTERM', () => leave(0, false, 'host-signal'));
setInterval(() => {}, 1 << 30);
