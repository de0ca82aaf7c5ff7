// Delivering one notification to one destination, once, within a deadline.
import type { Logger } from 'pino';
import type { Notification } from '../../contract/alert.ts';
import { parseDestination } from '../../contract/alert-destination.ts';
import { type OutgoingPolicy, postJson } from '../../host/outgoing.ts';
import { runProgram } from '../../host/process/run.ts';

const webhookDeadlineMs = 10_000;
const commandDeadlineMs = 30_000;

export type Outcome =
  | { readonly delivered: true; readonly detail: string }
  /** `permanent`: trying again would come to the same. */
  | { readonly delivered: false; readonly detail: string; readonly permanent: boolean };

export interface SendOptions {
  readonly policy: OutgoingPolicy;
  readonly log: Logger;
}

/** Never rejects, except with the signal's reason. */
export async function send(notification: Notification, to: string, { policy, log }: SendOptions, signal: AbortSignal): Promise<Outcome> {
  const destination = parseDestination(to);
  switch (destination.kind) {
    case 'log':
      log.warn({ alert: notification }, notification.text);
      return { delivered: true, detail: 'written to the daemon’s log' };
    case 'webhook':
      return webhook(notification, destination.url, policy, signal);
    case 'command':
      return command(notification, destination.path, signal);
  }
}

async function webhook(notification: Notification, url: string, policy: OutgoingPolicy, signal: AbortSignal): Promise<Outcome> {
  try {
    const { status, text } = await postJson(url, JSON.stringify(notification), {
      policy,
      timeoutMs: webhookDeadlineMs,
      headers: { 'idempotency-key': notification.id, 'user-agent': 'vivarium' },
      signal,
    });
    if (status >= 200 && status < 300) return { delivered: true, detail: `answered ${status}` };
    const detail = `answered ${status}${text.trim() === '' ? '' : `: ${text.trim().slice(0, 200)}`}`;
    return { delivered: false, detail, permanent: isPermanent(status) };
  } catch (error) {
    signal.throwIfAborted();
    return { delivered: false, detail: (error as Error).message, permanent: false };
  }
}

/** Too many requests, and a receiver that timed out or failed, may be otherwise later; a redirect or a refusal will not. */
export const isPermanent = (status: number): boolean => status < 500 && status !== 408 && status !== 425 && status !== 429;

async function command(notification: Notification, path: string, signal: AbortSignal): Promise<Outcome> {
  try {
    const {
      exitCode,
      signal: ending,
      stderr,
    } = await runProgram(path, [], {
      timeoutMs: commandDeadlineMs,
      input: `${JSON.stringify(notification)}\n`,
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        VIV_ALERT: notification.alert,
        VIV_ALERT_STATUS: notification.status,
        VIV_ALERT_SEVERITY: notification.severity,
        VIV_ALERT_SUBJECT: notification.subject.name ?? '',
        VIV_ALERT_TEXT: notification.text,
      },
      cwd: '/',
      keepBytes: 4096,
      signal,
    });
    if (exitCode === 0) return { delivered: true, detail: 'exit code 0' };
    const words = stderr.trim().split('\n').at(-1) ?? '';
    return {
      delivered: false,
      detail: `${path} ended with ${ending ?? `exit code ${exitCode}`}${words === '' ? '' : `: ${words.slice(0, 200)}`}`,
      permanent: false,
    };
  } catch (error) {
    signal.throwIfAborted();
    return { delivered: false, detail: (error as Error).message, permanent: false };
  }
}
