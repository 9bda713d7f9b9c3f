/** `require('afunix/credentials')`: who is at the other end, and who may be. Public names only. */
import { groupId, groupName, userId, userName } from './credentials/names';
import { PeerCredentials } from './credentials/peer';
import {
  allOf,
  anyOf,
  executable,
  gid,
  group,
  label,
  not,
  sameUser,
  uid,
} from './credentials/policies';
import { Policy } from './credentials/policy';
import { peerCredentials } from './credentials/snapshot';
import { Refusal } from './server/refusal';

const credentials = {
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
};

export {
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
};
export default credentials;
export type { Exited } from './credentials/exit';
export type { MissingParts } from './credentials/peer';
export type {
  AuthorizationContext,
  Authorize,
  AuthorizeAnswer,
  AuthorizeDecision,
  AuthorizeFunction,
} from './credentials/policy';
export type { PeerCredentialsSource } from './credentials/snapshot';
export type { GateOptions } from './server/gate-options';
export type { RefusalCode } from './server/refusal';
