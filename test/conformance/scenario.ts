/**
 * A scenario is one behaviour, written once and performed twice: over `node:net`, then over
 * `afunix`. What it traced must be the same both times, lane by lane.
 *
 *   scenario('end() before connect sends FIN after the data', async (stage) => { ... });
 *
 * A lane is the first element of an entry: a client and a server each have their own order, while
 * the order between the two is the kernel's business and is not compared.
 *
 * AFUNIX_CONFORMANCE=net performs over `node:net` twice, which shows whether a scenario is
 * deterministic before anything is asked of `afunix`. AFUNIX_CONFORMANCE=register has `node:net` as `afunix/register` makes it
 * in the place of `afunix`: it is loaded, and takes only the paths of that performance.
 */
import assert from 'node:assert/strict';
import type { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { inspect, isDeepStrictEqual } from 'node:util';
import { type Census, grown, takeCensus } from '../helpers/descriptors';

export type Net = typeof import('node:net');
export type Implementation = 'node:net' | 'afunix' | 'registered';
export type Family = 'pathname' | 'abstract';

/** Everything a scenario may touch; whatever it borrows from here is given back afterwards. */
export interface Stage {
  readonly net: Net;
  readonly implementation: Implementation;
  /** The kind of address this performance is about; see `ScenarioOptions.over`. */
  readonly family: Family;
  /** What `require()` needs in order to load the same implementation in a child process. */
  readonly specifier: string;
  /** A fresh address of the scenario's own family. */
  address(): string;
  /** A fresh short pathname in a fresh directory, removed afterwards. */
  path(): string;
  /** A fresh abstract name, '\0' first. */
  abstract(): string;
  /**
   * Adds one entry; its first element names the lane. The scenario is given time to settle when its
   * function has returned; what happens after that, during clean-up, is not traced.
   */
  trace(...entry: unknown[]): void;
  /** Traces these events of the emitter in the lane `label`, arguments simplified. */
  watch(emitter: EventEmitter, label: string, events: readonly string[]): void;
  /** The form in which `trace` and `watch` keep a value. */
  simplify(value: unknown): unknown;
  /** What has been traced in this lane so far, without the lane's name. */
  lane(label: string): unknown[][];
  /** Clean-up, run in reverse order whatever happened. */
  defer(clean: () => unknown): void;
  /** Resolves when the loop has turned several times and nothing more was traced. */
  settled(): Promise<void>;
}

export interface ScenarioOptions {
  /** Milliseconds for one performance; long enough for a loaded machine. */
  readonly limit?: number;
  /** Perform once for each family of addresses; pathnames only if not given. */
  readonly over?: readonly Family[];
  /** Compare the numbers of open descriptors before and after; on unless false. */
  readonly census?: boolean;
}

type Lanes = Map<string, unknown[][]>;

interface Performance {
  readonly implementation: Implementation;
  readonly lanes: Lanes;
}

const defaultLimit = 30_000;
const load = createRequire(__filename);

export const bothFamilies: readonly Family[] = ['pathname', 'abstract'];

export function scenario(
  name: string,
  run: (stage: Stage) => Promise<void>,
  options: ScenarioOptions = {},
): void {
  const families = options.over ?? ['pathname'];
  for (const family of families) {
    const title = families.length > 1 ? `${name} (${family})` : name;
    test(title, async () => {
      const expected = await perform('node:net', family, run, options);
      const actual = await perform(second, family, run, options);
      compare(expected, actual);
    });
  }
}

const second: Implementation =
  ({ net: 'node:net', register: 'registered' } as const)[process.env['AFUNIX_CONFORMANCE'] ?? ''] ??
  'afunix';

/** Paths of performances over what `afunix/register` makes of `net` have this in their names. */
const MARK = 'reg';

if (second === 'registered') {
  process.env['AFUNIX_REGISTER_PATHS'] = `**/afu-${MARK}-*/**:@afunix-test-${MARK}-**`;
  load('afunix/register');
  // Child processes have it, too.
  process.env['NODE_OPTIONS'] =
    `${process.env['NODE_OPTIONS'] ?? ''} --require ${load.resolve('afunix/register')}`;
}

async function perform(
  implementation: Implementation,
  family: Family,
  run: (stage: Stage) => Promise<void>,
  options: ScenarioOptions,
): Promise<Performance> {
  const net = load(implementation === 'afunix' ? implementation : 'node:net') as Net;
  if (implementation === 'afunix')
    assert.notEqual(net.Socket, (load('node:net') as Net).Socket, 'nothing to compare');
  await warmUp(implementation, net);

  const before = takeCensus();
  const lanes: Lanes = new Map();
  const cleanups: (() => unknown)[] = [];
  const curtain = new AbortController();
  const stage = createStage(implementation, family, net, lanes, cleanups, curtain.signal);
  try {
    await within(
      options.limit ?? defaultLimit,
      run(stage).then(() => stage.settled()),
    );
  } catch (error) {
    throw new Error(
      `over ${implementation}: ${messageOf(error)}\n\nTraced until then:\n${render(lanes)}`,
      {
        cause: error,
      },
    );
  } finally {
    curtain.abort();
    for (const clean of cleanups.reverse()) await clean();
  }
  if (options.census !== false) await assertNoneLeft(implementation, before);
  return { implementation, lanes };
}

function createStage(
  implementation: Implementation,
  family: Family,
  net: Net,
  lanes: Lanes,
  cleanups: (() => unknown)[],
  over: AbortSignal,
): Stage {
  const labels = new WeakMap<object, string>();
  const addresses = new Map<string, string>();
  let entries = 0;

  const named = (kind: string): string => {
    const earlier = [...addresses.values()].filter((name) => name.startsWith(`<${kind}`)).length;
    return earlier === 0 ? `<${kind}>` : `<${kind} ${earlier + 1}>`;
  };
  const simplify = (value: unknown): unknown => simplified(value, labels, addresses);
  const mark = implementation === 'registered' ? `${MARK}-` : '';

  const stage: Stage = {
    net,
    implementation,
    family,
    specifier: implementation === 'afunix' ? load.resolve(implementation) : 'node:net',
    address: () => (family === 'abstract' ? stage.abstract() : stage.path()),
    path() {
      const directory = mkdtempSync(join(tmpdir(), `afu-${mark}`));
      cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
      const path = join(directory, 's');
      addresses.set(path, named('path'));
      return path;
    },
    abstract() {
      const name = `\0afunix-test-${mark}${process.pid}-${(abstractNames += 1)}`;
      addresses.set(name, named('abstract'));
      return name;
    },
    trace(...entry) {
      if (over.aborted) return;
      const [lane, ...rest] = entry;
      const key = String(lane);
      entries += 1;
      const sequence = lanes.get(key);
      if (sequence === undefined) lanes.set(key, [rest.map(simplify)]);
      else sequence.push(rest.map(simplify));
    },
    watch(emitter, label, events) {
      labels.set(emitter, label);
      for (const event of events) {
        emitter.on(event, (...args: unknown[]) => stage.trace(label, event, ...args));
      }
    },
    simplify,
    lane: (label) => lanes.get(label) ?? [],
    defer: (clean) => void cleanups.push(clean),
    async settled() {
      const quietRounds = 4;
      for (let quiet = 0; quiet < quietRounds; quiet += 1) {
        const known = entries;
        for (let turn = 0; turn < 3; turn += 1) await immediate();
        await delay(1);
        if (entries !== known) quiet = 0;
      }
    },
  };
  return stage;
}

let abstractNames = 0;

const shownErrorFields = ['code', 'errno', 'syscall', 'address', 'port'] as const;

function simplified(
  value: unknown,
  labels: WeakMap<object, string>,
  addresses: Map<string, string>,
): unknown {
  const withoutAddresses = (text: string): string => {
    let result = text;
    for (const [address, name] of addresses) result = result.replaceAll(address, name);
    return result;
  };
  if (typeof value === 'string') return withoutAddresses(value);
  if (typeof value === 'function') return '[function]';
  if (typeof value !== 'object' || value === null) return value;
  const label = labels.get(value);
  if (label !== undefined) return `[${label}]`;
  if (value instanceof Error) {
    const shown: Record<string, unknown> = { name: value.name };
    for (const field of shownErrorFields) {
      const content: unknown = Reflect.get(value, field);
      if (content !== undefined)
        shown[field] = typeof content === 'string' ? withoutAddresses(content) : content;
    }
    shown['message'] = withoutAddresses(value.message);
    return shown;
  }
  if (value instanceof Uint8Array) return simplifiedBytes(value);
  if (value instanceof Duplex) return '[socket]';
  if (Array.isArray(value)) return value.map((element) => simplified(element, labels, addresses));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return `[${value.constructor.name}]`;
  return Object.fromEntries(
    Object.entries(value).map(([key, content]) => [key, simplified(content, labels, addresses)]),
  );
}

/** Short printable bytes show as their text, others as their number. */
function simplifiedBytes(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString('latin1');
  return /^[\x20-\x7e\r\n\t]{0,64}$/.test(text) ? { bytes: text } : { bytes: bytes.length };
}

/**
 * Fails when `limit` has passed. It passes in steps, each of which counts once however long it took,
 * so that a machine that stood still meanwhile does not make a scenario fail.
 */
async function within(limit: number, work: Promise<void>): Promise<void> {
  const steps = 30;
  const over = new AbortController();
  const expiry = async (): Promise<void> => {
    for (let step = 0; step < steps; step += 1) {
      await delay(limit / steps, undefined, { signal: over.signal });
    }
    assert.fail(`not finished after ${limit} ms`);
  };
  try {
    await Promise.race([work, expiry()]);
  } finally {
    over.abort();
  }
}

const warm = new Set<Implementation>();

/** Makes the descriptors that an implementation, or the loop, opens once and then keeps. */
async function warmUp(implementation: Implementation, net: Net): Promise<void> {
  if (warm.has(implementation)) return;
  warm.add(implementation);
  const ignore = (): void => undefined;
  process.on('SIGUSR2', ignore);
  process.off('SIGUSR2', ignore);
  const mark = implementation === 'registered' ? `${MARK}-` : '';
  const name = `\0afunix-test-${mark}${process.pid}-warm-up`;
  await new Promise<void>((resolve, reject) => {
    const server = net.createServer((peer) => peer.end('x'));
    server.on('error', reject);
    server.listen(name, () => {
      const client = net.connect(name);
      client.on('error', reject);
      client.resume();
      client.on('close', () => server.close(() => resolve()));
    });
  });
}

async function assertNoneLeft(implementation: Implementation, before: Census): Promise<void> {
  const patience = 400;
  let left = grown(before, takeCensus());
  for (let round = 0; round < patience && Object.keys(left).length > 0; round += 1) {
    await delay(5);
    left = grown(before, takeCensus());
  }
  assert.deepEqual(left, {}, `descriptors left open over ${implementation}`);
}

function compare(expected: Performance, actual: Performance): void {
  const differing = [...new Set([...expected.lanes.keys(), ...actual.lanes.keys()])].filter(
    (lane) => !isDeepStrictEqual(expected.lanes.get(lane), actual.lanes.get(lane)),
  );
  if (differing.length === 0) return;
  assert.fail(
    `the traces differ in ${differing.map((lane) => `'${lane}'`).join(', ')}\n\n` +
      `${expected.implementation}:\n${render(expected.lanes, actual.lanes)}\n\n` +
      `${actual.implementation}:\n${render(actual.lanes, expected.lanes)}`,
  );
}

/** The lanes as text; lines that are not so in `other` are marked. */
function render(lanes: Lanes, other?: Lanes): string {
  const lines: string[] = [];
  for (const [lane, sequence] of lanes) {
    lines.push(`  ${lane}`);
    sequence.forEach((entry, index) => {
      const same = other === undefined || isDeepStrictEqual(entry, other.get(lane)?.[index]);
      const shown = entry
        .map((part) => inspect(part, { depth: 8, breakLength: Infinity }))
        .join(' ');
      lines.push(`  ${same ? ' ' : '!'} ${shown}`);
    });
  }
  return lines.length === 0 ? '  (nothing)' : lines.join('\n');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : inspect(error);
}
