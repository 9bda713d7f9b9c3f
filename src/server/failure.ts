/** Why a listener could not be opened, as `net` tells it. */
import { errnoException, listenException, type SystemError } from '../errors';

const ENOENT = -2;
const EACCES = -13;

/** libuv says EACCES for a missing directory; what the kernel said is the cause. */
export function listenFailure(status: number, path: string | undefined): SystemError {
  const missing = path !== undefined && status === ENOENT;
  const error = listenException(missing ? EACCES : status, path);
  if (missing) error.cause = errnoException(status, 'bind', path);
  return error;
}
