// A DHCP client that is a VM's for one exchange: dhcp-client.mjs MAC HOSTNAME prints the address that it gets, or "none".
import { createSocket } from 'node:dgram';

const [mac = '', hostname = ''] = process.argv.slice(2);
const id = Buffer.from(mac.split(':').slice(2).join(''), 'hex');
const [discover, offer, request, ack] = [1, 2, 3, 5];

/** @param {number} type @param {number[][]} options */
function message(type, options = []) {
  const header = Buffer.alloc(240);
  header.set([1, 1, 6, 0, ...id], 0);
  header.writeUInt16BE(0x8000, 10); // answer by broadcast
  header.set(Buffer.from(mac.replaceAll(':', ''), 'hex'), 28);
  header.writeUInt32BE(0x63825363, 236);
  const all = [[53, type], [12, ...Buffer.from(hostname)], ...options];
  return Buffer.concat([header, ...all.map(([code = 0, ...bytes]) => Buffer.from([code, bytes.length, ...bytes])), Buffer.from([255])]);
}

/** @param {Buffer} answer @param {number} code */
function option(answer, code) {
  for (let at = 240; at < answer.length && answer[at] !== 255; at += 2 + (answer[at + 1] ?? 0))
    if (answer[at] === code) return answer.subarray(at + 2, at + 2 + (answer[at + 1] ?? 0));
  return Buffer.alloc(0);
}

const socket = createSocket({ type: 'udp4', reuseAddr: true });
const send = (/** @type {Buffer} */ bytes) => socket.send(bytes, 67, '255.255.255.255');
const end = (/** @type {string} */ text) => {
  console.log(text);
  process.exit(0);
};
socket.on('message', (answer) => {
  if (!answer.subarray(4, 8).equals(id)) return;
  const type = option(answer, 53)[0];
  const address = answer.subarray(16, 20);
  if (type === offer)
    send(
      message(request, [
        [50, ...address],
        [54, ...option(answer, 54)],
      ]),
    );
  if (type === ack) end(address.join('.'));
});
socket.bind(68, '0.0.0.0', () => {
  socket.setBroadcast(true);
  send(message(discover));
});
// As real clients do: the first one may come before the port of the bridge forwards.
setInterval(() => send(message(discover)), 1000);
setTimeout(() => end('none'), 10_000);
