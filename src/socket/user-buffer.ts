/** The `onread` option: received bytes go straight into memory of the user's, and no 'data' is emitted. */
import { types } from 'node:util';

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
