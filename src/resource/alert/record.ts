// What is durable of an alert: itself (`alert/NAME`), what it fires for (`alert-state/NAME/SUBJECT`), and what is to be delivered
// (`alert-delivery/ID`, see queue.ts).
import { z } from 'zod';
import { Severity } from '../../contract/alert.ts';
import { Name, Time } from '../../contract/field.ts';

export const AlertRecord = z.object({
  name: Name,
  rule: z.string(),
  vms: z.array(z.string()),
  to: z.array(z.string()),
  severity: Severity,
  repeatMs: z.int(),
  silencedUntil: Time.nullable(),
  createdAt: Time,
});
export type AlertRecord = z.infer<typeof AlertRecord>;

/** That an alert fires for a subject: a daemon that comes back does not deliver it again. */
export const FiringRecord = z.object({
  since: Time,
  /** When it was delivered last; null: never, it was silenced. */
  deliveredAt: Time.nullable(),
  name: z.string().nullable(),
});
export type FiringRecord = z.infer<typeof FiringRecord>;

export const recordKey = (name: string) => `alert/${name}`;
export const stateKey = (name: string, subject: string) => `alert-state/${name}/${subject}`;

/** The part of the store that alerts use. */
export interface AlertStore {
  list(prefix: string): Promise<readonly { readonly key: string; readonly value: unknown }[]>;
  commit(changes: { readonly puts?: readonly { key: string; value: unknown }[]; readonly deletes?: readonly string[] }): Promise<unknown>;
}
