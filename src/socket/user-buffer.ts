/** The `onread` option: received bytes go straight into memory of the user's, and no 'data' is emitted. */
import { Duplex } from 'node:stream';
import { types } from 'node:util';
import { nextTick } from '../real-time';

/** Whatever it returns but `false` means that reading goes on; most programs return nothing. */
export type OnReadCallback = (length: number, buffer: Uint8Array) => unknown;

export class UserBuffer {
  /** Where the next read goes. */
  current: Uint8Array | undefined;

  private constructor(
    private readonly fixed: Uint8Array | null,
    private readonly generate: (() => unknown) | null,
    private readonly callback: OnReadCallback,
  ) {}

  /** Null for anything that isn't a complete `onread`, as in `net`. */
  static from(onread: unknown): UserBuffer | null {
    if (typeof onread !== 'object' || onread === null) return null;
    const { buffer, callback } = onread as { buffer?: unknown; callback?: unknown };
    if (typeof callback !== 'function') return null;
    if (types.isUint8Array(buffer)) return new UserBuffer(buffer, null, callback as OnReadCallback);
    if (typeof buffer !== 'function') return null;
    return new UserBuffer(null, buffer as () => unknown, callback as OnReadCallback);
  }

  /** Memory for the first read of a new connection. */
  first(): Uint8Array | undefined {
    this.current = this.fixed ?? this.next();
    return this.current;
  }

  /** Passes `length` bytes on; false if the user has had enough for now. */
  deliver(socket: object, length: number): boolean {
    const buffer = this.current;
    if (buffer === undefined) return true;
    const goOn = Reflect.apply(this.callback, socket, [length, buffer]) !== false;
    if (this.generate !== null) this.current = this.next() ?? this.current;
    return goOn;
  }

  private next(): Uint8Array | undefined {
    const buffer = this.generate?.();
    return types.isUint8Array(buffer) ? buffer : undefined;
  }
}

/**
 * Tells `head` to the callback before anything is read; `socket` has been made without beginning to. As with what is read, nothing is told
 * once the callback has returned false or paused the socket, until somebody reads on. `readsInto` learns where the next read has to go.
 */
export function tellHead(
  socket: Duplex,
  userBuffer: UserBuffer,
  head: Buffer,
  readsInto?: (target: Uint8Array) => void,
): void {
  let rest = head;
  const tell = (): void => {
    while (!socket.destroyed && rest.length > 0) {
      if (socket.isPaused()) return;
      const target = userBuffer.current ?? userBuffer.first();
      if (target === undefined || target.length === 0) break;
      const length = Math.min(target.length, rest.length);
      target.set(rest.subarray(0, length));
      rest = rest.subarray(length);
      if (!userBuffer.deliver(socket, length)) return;
    }
    for (const restore of restores.splice(0)) restore();
    if (socket.destroyed) return;
    if (userBuffer.current !== undefined) readsInto?.(userBuffer.current);
    socket.read(0);
  };
  // In front of the socket's own, which begin to read at once.
  const restores = (['read', 'resume'] as const).map((name) => {
    const before = Object.getOwnPropertyDescriptor(socket, name);
    const value = (...given: unknown[]): unknown => {
      nextTick(tell);
      return Reflect.apply(Duplex.prototype[name] as () => unknown, socket, given);
    };
    Object.defineProperty(socket, name, { value, writable: true, configurable: true });
    return () => {
      if (before === undefined) Reflect.deleteProperty(socket, name);
      else Object.defineProperty(socket, name, before);
    };
  });
  nextTick(tell);
}
