// Acting: calls an operation, says how it ended, and has what it changed asked for again.
import { notifications } from '@mantine/notifications';
import { call, messageOf } from './call.ts';
import { changed } from './live.ts';
import type { Id, Input, Output } from './types.ts';

/** Undefined: it failed, and a notification says why. @param done what the notification says; none: nothing is said */
export async function act<I extends Id>(
  id: I,
  input: Input<I>,
  done?: string | ((output: Output<I>) => string),
): Promise<Output<I> | undefined> {
  try {
    const output = await call(id, input);
    changed(id.split('.')[0] ?? '');
    if (done !== undefined) notifications.show({ message: typeof done === 'string' ? done : done(output), color: 'teal', autoClose: 3500 });
    return output;
  } catch (error) {
    changed(id.split('.')[0] ?? '');
    if ((error as { code?: string }).code !== 'unauthenticated')
      notifications.show({ title: id, message: messageOf(error), color: 'red', autoClose: 12_000 });
    return undefined;
  }
}
