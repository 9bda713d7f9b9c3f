/** Options as they are at one moment: what their owner does to the object later is no longer ours to follow. */

/** What only we look for; inherited ones and getters count, so that nothing that protects gets lost. */
const OURS = [
  'authorize',
  'authorizeTimeout',
  'maxConnectionsPerUid',
  'maxUnauthorized',
  'passCredentials',
  'busyPoll',
  'maxDescriptors',
  'maxOpenDescriptors',
  'maxMessageSize',
  'batchSize',
  'sendBufferSize',
  'recvBufferSize',
  'mode',
  'uid',
  'gid',
  'stale',
  'checkDirectory',
  'abstractLength',
  'connectTimeout',
] as const;

/** Whatever `listen` and `connect` look for, inherited ones too, as in `net`, which reads each by itself. */
const NAMES = [
  ...OURS,
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'highWaterMark',
  'blockList',
  'captureRejections',
  'path',
  'port',
  'host',
  'fd',
  'handle',
  '_handle',
  'backlog',
  'exclusive',
  'readableAll',
  'writableAll',
  'signal',
] as const;

/** A copy, each of whose properties was read once. */
export function taken<Options extends object>(options: Options): Options {
  return withInherited({ ...options }, options, NAMES);
}

/** The same for a constructor: of its own options `net` takes those that are not inherited. */
export function takenByConstructor<Options extends object>(options: Options): Options {
  return withInherited({ ...options }, options, OURS);
}

function withInherited<Options extends object>(
  copy: Options,
  options: Options,
  names: readonly string[],
): Options {
  for (const name of names) {
    if (Object.hasOwn(copy, name)) continue;
    const value: unknown = Reflect.get(options, name);
    // A proxy may know what it does not list.
    if (value !== undefined || name in options) Reflect.set(copy, name, value);
  }
  return copy;
}
