// A guest's servers, in a namespace: TCP and UDP that say who asked and what was said.
//   node guest.mjs FIRST LAST     TCP echo with half-close on FIRST..LAST; UDP echo on the same; then says "ready"
//   A TCP connection that begins with "who\n" is told its peer; "sum\n" is told the length and SHA-256 of the rest when that has ended;
//   "reset\n" is broken off. Other bytes come back, and the end after them.
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const [first, last] = process.argv.slice(2).map(Number);
const plain = (address) => address.replace(/^::ffff:/, '');
const waiting = [];

for (let port = first; port <= last; port++) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      const word = data.subarray(0, data.indexOf(10) + 1).toString();
      const rest = data.subarray(word.length);
      if (word === 'who\n') return socket.end(`${port} ${plain(socket.remoteAddress)}\n`);
      if (word === 'reset\n') return socket.resetAndDestroy();
      if (word === 'sum\n') {
        const hash = createHash('sha256').update(rest);
        let length = rest.length;
        socket.on('data', (more) => {
          hash.update(more);
          length += more.length;
        });
        return socket.on('end', () => socket.end(`${length} ${hash.digest('hex')}\n`));
      }
      if (!socket.write(data)) socket.pause();
      socket.on('data', (more) => {
        if (!socket.write(more)) socket.pause();
      });
      socket.on('drain', () => socket.resume());
      socket.on('end', () => socket.end());
    });
  });
  waiting.push(new Promise((resolve) => server.listen({ port, host: '::' }, resolve)));
  const udp = createSocket('udp6');
  udp.on('message', (message, from) => udp.send(`${port} ${plain(from.address)} ${message}`, from.port, from.address));
  waiting.push(new Promise((resolve) => udp.bind({ port, address: '::' }, resolve)));
}
await Promise.all(waiting);
console.log('ready');
