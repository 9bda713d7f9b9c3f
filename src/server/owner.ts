/** Who the socket file is to belong to, by name: the user database may be a directory server far away, and is asked on another thread. */
import { groupId, userId } from '../credentials/names';
import { addHint, codedError, type SystemError } from '../errors';
import { listenFailure } from './failure';
import type { AskedPlace, Place } from './place';

/** The place with numbers: at once if it has nothing else. Rejected with what `listen` fails with. */
export function withOwner(asked: AskedPlace, path: string): Place | Promise<Place> {
  const { uid, gid } = asked;
  if (typeof uid === 'number' && typeof gid === 'number') return { ...asked, uid, gid };
  return Promise.all([numberOf('user', uid, path), numberOf('group', gid, path)]).then(
    ([uid, gid]) => ({ ...asked, uid, gid }),
  );
}

async function numberOf(
  kind: 'user' | 'group',
  given: number | string,
  path: string,
): Promise<number> {
  if (typeof given === 'number') return given;
  const id = await (kind === 'user' ? userId : groupId)(given).catch((error: unknown) => {
    const failure = listenFailure((error as SystemError).errno, path);
    failure.cause = error;
    throw failure;
  });
  if (id === null) throw unknownName(kind, given, path);
  return id;
}

function unknownName(kind: 'user' | 'group', name: string, path: string): Error {
  const error = codedError(
    Error,
    'ERR_AFUNIX_UNKNOWN_NAME',
    `listen: there is no ${kind} '${name}' to whom '${path}' could belong`,
  );
  addHint(
    error,
    `\`getent ${kind === 'user' ? 'passwd' : 'group'} ${name}\` finds nothing; a number is taken as it is`,
  );
  return Object.assign(error, { address: path });
}
