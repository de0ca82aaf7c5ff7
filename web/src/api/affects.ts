// What a change may show up in: the noun of an event or operation, and the nouns whose answers it changes.
const all = ['vm', 'snapshot', 'network', 'nic', 'forward', 'security-group', 'image', 'host', 'warm-pool', 'project', 'alert'];

const affects: Readonly<Record<string, readonly string[]>> = {
  vm: ['vm', 'snapshot', 'network', 'forward', 'image', 'host', 'warm-pool', 'project', 'security-group', 'nic'],
  snapshot: ['snapshot', 'vm', 'warm-pool', 'project'],
  nic: ['nic', 'vm', 'network', 'forward', 'security-group'],
  network: ['network', 'vm', 'project'],
  forward: ['forward', 'vm', 'project'],
  'security-group': ['security-group', 'vm', 'network'],
  'warm-pool': ['warm-pool', 'vm', 'host'],
  image: ['image', 'host'],
  alert: ['alert'],
  governor: ['vm', 'host', 'warm-pool'],
  daemon: all,
  host: ['host'],
  user: ['user', 'session', 'token', 'role', 'vm'],
  role: ['role', 'user', 'vm'],
  project: ['project', 'vm', 'network', 'image'],
  token: ['token'],
  session: ['session'],
  listener: ['listener'],
};

export const affectedBy = (noun: string): readonly string[] => affects[noun] ?? [noun];
