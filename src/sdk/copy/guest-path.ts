import { posix } from 'node:path';
import { VivError } from '../../contract/errors.ts';

/** The normalized path in the guest. @throws invalid where it is not absolute */
export function guestTarget(guestPath: string): string {
  if (!guestPath.startsWith('/'))
    throw new VivError('invalid', `the path in the guest must be absolute${guestPath ? `, and ${guestPath} is not` : ''}`);
  const normal = posix.normalize(guestPath);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
