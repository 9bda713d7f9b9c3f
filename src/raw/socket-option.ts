/** Options of sockets, by name or by level and number. */
import { checkInteger, LARGEST_INT, wrongValue } from '../checks';
import { constants, SOCKET_OPTIONS, type SocketOptionName } from './constants';

export interface OptionCall {
  readonly level: number;
  readonly option: number;
  /** The argument behind those that say which option. */
  readonly rest: unknown;
}

/** (name, rest) or (level, number, rest) */
export function optionCall(first: unknown, second: unknown, third: unknown): OptionCall {
  if (typeof first === 'string') {
    if (!Object.hasOwn(SOCKET_OPTIONS, first)) {
      throw wrongValue('option', first, `must be ${Object.keys(SOCKET_OPTIONS).join(', ')}`);
    }
    const option = SOCKET_OPTIONS[first as SocketOptionName];
    return { level: constants.SOL_SOCKET, option, rest: second };
  }
  const level = checkInteger('level', first, 0, LARGEST_INT);
  const option = checkInteger('option', second, 0, LARGEST_INT);
  return { level, option, rest: third };
}
