// Audit records as collectors take them: syslog's structured form (RFC 5424), and Splunk's HTTP event collector's, which other log platforms take as well.
// Both carry the record's own canonical text, whose hash the chain proves. Pure.
import type { AuditRecord } from '../../../contract/audit.ts';

export interface Sender {
  readonly hostname: string;
  readonly pid: number;
}

/** Facility 13 (log audit); severity 4 (warning) for refusals and failures, 5 (notice) otherwise. */
const priorityOf = ({ outcome }: AuditRecord): number => 13 * 8 + (outcome === 'refused' || outcome === 'failed' ? 4 : 5);
/** 32473 is the number that RFC 5612 sets aside for examples and private use. */
const structureId = 'audit@32473';
const printable = (text: string, most: number) => text.replace(/[^\x21-\x7e]/g, '?').slice(0, most) || '-';
const quoted = (text: string) => `"${text.replace(/[\\"\]]/g, '\\$&')}"`;

/** One message without its frame. @param text the record's canonical text */
export function syslogMessage(record: AuditRecord, text: string, { hostname, pid }: Sender): string {
  const { sequence, at, operation, outcome, actor, task } = record;
  const fields = { sequence: String(sequence), operation, outcome, actor: actor.name, via: actor.via, from: actor.from, task };
  const structure = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [`${name}=${quoted(value)}`]));
  const head = `<${priorityOf(record)}>1 ${new Date(at).toISOString()} ${printable(hostname, 255)} vivarium ${pid} ${printable(operation, 32)}`;
  // The mark says that the message is UTF-8.
  return `${head} [${structureId} ${structure.join(' ')}] \ufeff${text}`;
}

/** Octet counting (RFC 6587, RFC 5425): what is in a record ends no message. */
export const framed = (message: string): string => `${Buffer.byteLength(message)} ${message}`;

/** One event of a batch; events of a batch follow one another without a separator. */
export function hecEvent(record: AuditRecord, { hostname }: Pick<Sender, 'hostname'>): string {
  return JSON.stringify({ time: record.at / 1000, host: hostname, source: 'vivarium', sourcetype: 'vivarium:audit', event: record });
}
