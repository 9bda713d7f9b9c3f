/** Options as they are at one moment: what their owner does to the object later is no longer ours to follow. */

/** Whatever `createServer`, `listen` and `connect` look for; inherited ones and getters count, as they do where each is read by itself. */
const NAMES = [
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'highWaterMark',
  'blockList',
  'captureRejections',
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
  'mode',
  'uid',
  'gid',
  'stale',
  'checkDirectory',
  'abstractLength',
  'connectTimeout',
] as const;

/** A copy, each of whose properties was read once. */
export function taken<Options extends object>(options: Options): Options {
  const copy = { ...options } as Record<string, unknown>;
  for (const name of NAMES) {
    if (!Object.hasOwn(copy, name) && name in options) {
      copy[name] = (options as Record<string, unknown>)[name];
    }
  }
  return copy as Options;
}
