/** Ids: users or groups of a policy, by number or by name. Names are looked up once, beginning when the policy is made. */
import { wrongValue } from '../checks';
import { checkIdOrName, groupId, userId } from './names';
import { now } from '../real-time';

/** Milliseconds before a name that there was not is looked up again. */
const RETRY = 1000;

export class Ids {
  readonly #ids = new Set<number>();
  readonly #kind: 'user' | 'group';
  /** Names without a number so far. */
  readonly #names = new Set<string>();
  #lookUp: Promise<void> | null = null;
  #lookedUp = 0;
  #failure = '';

  constructor(kind: 'user' | 'group', given: readonly (number | string)[]) {
    this.#kind = kind;
    if (given.length === 0) throw wrongValue('ids', given, 'must not be empty');
    for (const [index, one] of given.entries()) {
      const id = checkIdOrName(`ids[${index}]`, kind, one);
      if (typeof id === 'number') this.#ids.add(id);
      else this.#names.add(id);
    }
    if (this.#names.size > 0) void this.#begin();
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  hasAny(ids: readonly number[]): boolean {
    return ids.some((id) => this.#ids.has(id));
  }

  /** Something to wait for before `has()` can say no. */
  get pending(): Promise<void> | null {
    if (this.#lookUp !== null) return this.#lookUp;
    if (this.#names.size === 0 || now() - this.#lookedUp < RETRY) return null;
    return this.#begin();
  }

  /** Why `has()` does not know all of them. */
  get unresolved(): string | null {
    if (this.#names.size === 0) return null;
    const names = [...this.#names].map((name) => `'${name}'`).join(', ');
    return this.#failure === ''
      ? `there is no ${this.#kind} ${names}`
      : `${this.#kind} ${names}: ${this.#failure}`;
  }

  #begin(): Promise<void> {
    const ask = this.#kind === 'user' ? userId : groupId;
    const one = async (name: string): Promise<void> => {
      const id = await ask(name);
      if (id === null) return;
      this.#ids.add(id);
      this.#names.delete(name);
    };
    const all = async (): Promise<void> => {
      this.#failure = '';
      try {
        await Promise.all([...this.#names].map(one));
      } catch (error) {
        this.#failure = (error as Error).message;
      }
      this.#lookUp = null;
      this.#lookedUp = now();
    };
    this.#lookUp = all();
    return this.#lookUp;
  }
}
