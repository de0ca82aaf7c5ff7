// A client somewhere outside: reads lines of JSON, prints one line with the outcome of each.
//   { do: 'tcp', host, port, say }               what comes back until the end; "error CODE"
//   { do: 'udp', host, port, say, waitMs, from? } what comes back; "nothing" where nothing does for so long
//   { do: 'sum', host, port, bytes }             sends so many bytes and the end; true: the other side has read the same
//   { do: 'echo', host, port, bytes }            sends and reads back at once, slowly at first; true: all of it came back
//   { do: 'many', host, port, count }            so many at once, each open until all are; how many were answered
//   { do: 'half', host, port }                   ends first, then waits for the answer
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const text = async (socket) => {
  let all = '';
  for await (const chunk of socket) all += chunk;
  return all;
};
const opened = (input) =>
  new Promise((resolve, reject) => {
    const socket = connect({ ...input, allowHalfOpen: true });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
const pieces = (bytes) => {
  const block = randomBytes(65_536);
  return Array.from({ length: Math.ceil(bytes / block.length) }, (_, at) =>
    block.subarray(0, Math.min(block.length, bytes - at * block.length)),
  );
};

const acts = {
  async tcp({ host, port, say }) {
    const socket = await opened({ host, port });
    socket.write(say);
    return text(socket);
  },
  udp: ({ host, port, say, waitMs, from }) =>
    new Promise((resolve) => {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      const end = (what) => {
        clearTimeout(late);
        socket.close();
        resolve(what);
      };
      const late = setTimeout(() => end('nothing'), waitMs);
      socket.on('message', (message, { address }) => end(address === host ? message.toString() : `from ${address}`));
      socket.bind({ port: 0, ...(from ? { address: from } : {}) }, () => socket.send(say, port, host));
    }),
  async sum({ host, port, bytes }) {
    const socket = await opened({ host, port });
    const hash = createHash('sha256');
    socket.write('sum\n');
    for (const piece of pieces(bytes)) {
      hash.update(piece);
      if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
    }
    socket.end();
    return (await text(socket)) === `${bytes} ${hash.digest('hex')}\n`;
  },
  async echo({ host, port, bytes }) {
    const socket = await opened({ host, port });
    const [sent, came] = [createHash('sha256'), createHash('sha256')];
    let begun;
    // Nothing is read until the way there is full, so that both sides have to wait.
    const writing = (async () => {
      for (const piece of pieces(bytes)) {
        sent.update(piece);
        if (!socket.write(piece)) {
          reading();
          await new Promise((resolve) => socket.once('drain', resolve));
        }
      }
      reading();
      socket.end();
    })();
    function reading() {
      begun ??= (async () => {
        for await (const chunk of socket) came.update(chunk);
      })();
    }
    await writing;
    await begun;
    return sent.digest('hex') === came.digest('hex');
  },
  async many({ host, port, count }) {
    const sockets = await Promise.all(Array.from({ length: count }, () => opened({ host, port })));
    const answers = await Promise.all(
      sockets.map(async (socket, at) => {
        socket.write(`number ${at}`);
        socket.end();
        return (await text(socket)) === `number ${at}`;
      }),
    );
    return answers.filter(Boolean).length;
  },
  async half({ host, port }) {
    const socket = await opened({ host, port });
    socket.end('sum\nabc');
    return text(socket);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const input = JSON.parse(line);
  const outcome = await acts[input.do](input).catch((error) => `error ${error.code}`);
  console.log(JSON.stringify(outcome));
}
