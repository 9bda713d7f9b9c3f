/** What a service tells its manager: sd_notify(3), over the datagram socket that NOTIFY_SOCKET names. */
import { checkInteger, LARGEST_INT, requireAddon, wrongType, wrongValue } from '../checks';
import { descriptorOf, MAXIMUM_DESCRIPTORS } from '../descriptor';
import type { DescriptorLike } from '../descriptor-sending';
import { errnoException } from '../errors';

/** The fields are the variables of sd_notify(3), in camel case. */
export interface Notification {
  /** READY=1: the service has started, or reloaded. */
  ready?: boolean;
  /** RELOADING=1, with the MONOTONIC_USEC that `Type=notify-reload` asks for. */
  reloading?: boolean;
  /** STOPPING=1 */
  stopping?: boolean;
  /** STATUS=: one line for whoever asks how it is. */
  status?: string;
  /** ERRNO=: a positive errno. */
  errno?: number;
  /** MAINPID=: the process that is the service from now on. */
  mainPid?: number;
  /** WATCHDOG=1, or WATCHDOG=trigger, which makes the manager act as if the time were over. See `watchdog()`. */
  watchdog?: boolean | 'trigger';
  /** WATCHDOG_USEC=: another time-out of the watchdog, in microseconds. */
  watchdogUsec?: number;
  /** EXTEND_TIMEOUT_USEC=: so many microseconds more to start, reload or stop. */
  extendTimeoutUsec?: number;
  /** FDSTORE=1: copies that the manager keeps and passes on when the service starts again. At most 253, and they stay the caller's. */
  fdStore?: readonly DescriptorLike[];
  /** FDNAME=: what they are called; up to 255 visible ASCII characters without a colon. */
  fdName?: string;
  /** FDSTOREREMOVE=1: those called `fdName` are closed. */
  fdStoreRemove?: boolean;
  /** FDPOLL=0: the manager keeps them even when they hang up. */
  fdPoll?: boolean;
}

/** A manager that does not read for so long, in milliseconds, is hanging. */
const PATIENCE = 1000;
const EAFNOSUPPORT = -97;
const NAME = /^[\x21-\x39\x3b-\x7e][\x20-\x39\x3b-\x7e]{0,254}$/;

type Line = (value: never) => readonly string[];

function isOn(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw wrongType(`notification.${field}`, 'of type boolean', value);
}

const flag =
  (field: string, line: string): Line =>
  (value: unknown): string[] =>
    isOn(field, value) ? [line] : [];

const whole =
  (variable: string, least: number, most: number): Line =>
  (value: unknown): string[] => [`${variable}=${checkInteger(variable, value, least, most)}`];

function status(value: unknown): string[] {
  if (typeof value !== 'string') throw wrongType('notification.status', 'of type string', value);
  // Another line would be another variable.
  if (/[\n\0]/.test(value)) throw wrongValue('notification.status', value, 'must be one line');
  return [`STATUS=${value}`];
}

function fdName(value: unknown): string[] {
  if (typeof value === 'string' && NAME.test(value)) return [`FDNAME=${value}`];
  throw wrongValue(
    'notification.fdName',
    value,
    'must be 1 to 255 visible ASCII characters without a colon',
  );
}

function watchdogLine(value: unknown): string[] {
  if (value === false) return [];
  if (value === true) return ['WATCHDOG=1'];
  if (value === 'trigger') return ['WATCHDOG=trigger'];
  throw wrongValue('notification.watchdog', value, "must be a boolean or 'trigger'");
}

function reloading(value: unknown): string[] {
  if (!isOn('reloading', value)) return [];
  // CLOCK_MONOTONIC, which hrtime is.
  return ['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`];
}

function fdStore(value: unknown): string[] {
  if (!Array.isArray(value)) throw wrongType('notification.fdStore', 'an array', value);
  checkInteger('notification.fdStore.length', value.length, 1, MAXIMUM_DESCRIPTORS);
  return ['FDSTORE=1'];
}

const LINES: { readonly [Field in keyof Required<Notification>]: Line } = {
  ready: flag('ready', 'READY=1'),
  reloading,
  stopping: flag('stopping', 'STOPPING=1'),
  status,
  errno: whole('ERRNO', 1, 4095),
  mainPid: whole('MAINPID', 1, LARGEST_INT),
  watchdog: watchdogLine,
  watchdogUsec: whole('WATCHDOG_USEC', 1, Number.MAX_SAFE_INTEGER),
  extendTimeoutUsec: whole('EXTEND_TIMEOUT_USEC', 1, Number.MAX_SAFE_INTEGER),
  fdStore,
  fdName,
  fdStoreRemove: flag('fdStoreRemove', 'FDSTOREREMOVE=1'),
  fdPoll: (value: unknown) => (isOn('fdPoll', value) ? ['FDPOLL=1'] : ['FDPOLL=0']),
};

function textOf(notification: Notification): string {
  const lines: string[] = [];
  for (const [field, value] of Object.entries(notification) as [keyof Notification, unknown][]) {
    if (value === undefined) continue;
    if (!Object.hasOwn(LINES, field)) {
      throw wrongValue('notification', notification, `has no field '${field}'`);
    }
    lines.push(...LINES[field](value as never));
  }
  if (notification.fdStoreRemove === true && notification.fdName === undefined) {
    throw wrongValue('notification.fdStoreRemove', true, 'says by fdName what to remove');
  }
  return lines.join('\n');
}

function checkText(text: string): string {
  if (/^[^=\n\0]+=[^\n\0]*(\n[^=\n\0]+=[^\n\0]*)*\n?$/.test(text)) return text;
  throw wrongValue('notification', text, "must be lines of the form 'VARIABLE=value'");
}

/**
 * Tells the service manager. False if there is none that wants to know: NOTIFY_SOCKET is not set. True: it was handed over, in order with what
 * was told before; whether the manager accepts it depends on the unit (`NotifyAccess=`).
 *
 * A string is sent as it is, for what has no field here. While the manager's queue is full it blocks for at most a second. Errors: EAGAIN after
 * that, ENOENT and ECONNREFUSED without a manager at that address, EAFNOSUPPORT for one that is no Unix socket, EBADF, EMSGSIZE,
 * ERR_INVALID_ARG_VALUE and so on for what cannot be told, ERR_AFUNIX_NO_ADDON.
 */
export function notify(notification: Notification | string): boolean {
  return send(notification, PATIENCE);
}

/** As `notify`, with so many milliseconds of patience. */
export function send(notification: Notification | string, patience: number): boolean {
  if (
    typeof notification !== 'string' &&
    (typeof notification !== 'object' || notification === null)
  ) {
    throw wrongType('notification', 'an object or a string', notification);
  }
  // What is wrong is wrong without a manager, too.
  const text = typeof notification === 'string' ? checkText(notification) : textOf(notification);
  const given = typeof notification === 'string' ? [] : (notification.fdStore ?? []);
  const copies = Int32Array.from(given, (one) => descriptorOf('notification.fdStore', one));
  const address = process.env['NOTIFY_SOCKET'];
  if (address === undefined || address === '') return false;
  if (text === '') return true;
  const addon = requireAddon('notify()');
  if (!/^[/@]./.test(address)) throw errnoException(EAFNOSUPPORT, 'sendmsg', address);
  const name = address.startsWith('@') ? `\0${address.slice(1)}` : address;
  const sent = addon.sendNotification(Buffer.from(name), Buffer.from(text), copies, patience);
  if (sent < 0) throw errnoException(sent, 'sendmsg', name);
  return true;
}
