// All names of a host instance, as the daemon finds them from its environment.
import { type Paths, pathsIn } from '../src/host/paths.ts';
import { hostDirectories } from '../src/sdk/paths.ts';

export const pathsOf = (env: Readonly<Record<string, string | undefined>>, uid: number): Paths => pathsIn(hostDirectories(env, uid), env);
