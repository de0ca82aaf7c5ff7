// One connection to a collector. A batch counts as delivered when an HTTP collector has said so, or when a syslog server's end has taken every byte: syslog
// has no answers, so what a server that ends in that moment had not read is lost with it.
import { once } from 'node:events';
import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { AuditRecord } from '../../../contract/audit.ts';
import { parseCollector } from '../../../contract/audit-collector.ts';
import { VivError } from '../../../contract/errors.ts';
import { checkLiteral, guardedLookup, type OutgoingPolicy, postJson } from '../../../host/outgoing.ts';
import { framed, hecEvent, type Sender, syslogMessage } from './format.ts';

const deadlineMs = 15_000;

export interface Batch {
  readonly record: AuditRecord;
  /** Its canonical text. */
  readonly text: string;
}

export interface Connection {
  /** @throws when the batch is not known to have arrived */
  send(batch: readonly Batch[], signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly token: string | null;
  readonly ca: string | null;
  readonly policy: OutgoingPolicy;
  readonly sender: Sender;
}

export function connectionTo(options: ConnectionOptions): Connection {
  return parseCollector(options.url).kind === 'hec' ? hecConnection(options) : syslogConnection(options);
}

function hecConnection({ url, token, ca, policy, sender }: ConnectionOptions): Connection {
  return {
    async send(batch, signal) {
      const body = batch.map(({ record }) => hecEvent(record, sender)).join('');
      const headers = token === null ? {} : { authorization: `Splunk ${token}` };
      const { status } = await postJson(url, body, { policy, headers, timeoutMs: deadlineMs, signal, ...(ca === null ? {} : { ca }) });
      if (status < 200 || status >= 300) throw new VivError('unavailable', `the collector answered ${status}`);
    },
    close() {},
  };
}

function syslogConnection(options: ConnectionOptions): Connection {
  let open: Socket | undefined;
  return {
    async send(batch, signal) {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
      try {
        if (open === undefined || open.destroyed || !open.writable) open = await connected(options, deadline);
        const socket = open;
        const bytes = batch.map(({ record, text }) => framed(syslogMessage(record, text, options.sender))).join('');
        await new Promise<void>((resolve, reject) => {
          const stop = () => socket.destroy(new Error('the syslog server took nothing for too long'));
          deadline.addEventListener('abort', stop, { once: true });
          socket.once('error', reject);
          socket.once('close', () => reject(new Error('the syslog server closed the connection')));
          socket.write(bytes, (error) => {
            deadline.removeEventListener('abort', stop);
            if (error) reject(error);
            else resolve();
          });
        }).finally(() =>
          socket
            .removeAllListeners('error')
            .removeAllListeners('close')
            .on('error', () => {}),
        );
      } catch (error) {
        open?.destroy();
        open = undefined;
        throw error;
      }
    },
    close: () => void open?.destroy(),
  };
}

async function connected({ url, ca, policy }: ConnectionOptions, signal: AbortSignal): Promise<Socket> {
  const to = parseCollector(url);
  if (to.kind !== 'syslog') throw new VivError('internal', `${url} is no syslog server`);
  const lookup = guardedLookup(policy);
  if (to.transport !== 'unix') checkLiteral(to.host, to.host, policy);
  const socket =
    to.transport === 'unix'
      ? createConnection({ path: to.path })
      : to.transport === 'tcp'
        ? createConnection({ host: to.host, port: to.port, lookup })
        : connectTls({
            host: to.host,
            port: to.port,
            lookup,
            ...(isIP(to.host) === 0 ? { servername: to.host } : {}),
            minVersion: 'TLSv1.2',
            ...(ca === null ? {} : { ca }),
          });
  socket.resume(); // nothing is expected, but an end has to be seen
  socket.unref();
  try {
    await once(socket, to.transport === 'tls' ? 'secureConnect' : 'connect', { signal });
  } catch (error) {
    socket.on('error', () => {}).destroy();
    throw error;
  }
  return socket;
}
