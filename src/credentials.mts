/** `import … from 'afunix/credentials'`: the same module, as ES modules see it. */
import credentials from './credentials.js';

export const {
  allOf,
  anyOf,
  executable,
  gid,
  group,
  groupId,
  groupName,
  label,
  not,
  peerCredentials,
  PeerCredentials,
  Policy,
  Refusal,
  sameUser,
  uid,
  userId,
  userName,
} = credentials;

export type * from './credentials.js';
// The names that are a value and a type.
export type PeerCredentials = import('./credentials.js').PeerCredentials;
export type Policy = import('./credentials.js').Policy;
export type Refusal = import('./credentials.js').Refusal;

export default credentials.default;
