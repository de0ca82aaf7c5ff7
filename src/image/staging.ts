// The name of a task's folder in staging: the same work has the same folder, so that it is taken up where it was left.
import { createHash } from 'node:crypto';

export function stagingKey(verb: string, ...what: readonly string[]): string {
  return `${verb}-${createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 16)}`;
}
