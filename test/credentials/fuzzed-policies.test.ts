/**
 * Policies that are made up: whatever they return, throw, resolve with or reject with, whenever, and whoever goes away meanwhile. Nobody is
 * admitted without a clear yes, whoever has one and stays is, and afterwards all places and descriptors are free.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Socket } from 'afunix';
import {
  allOf,
  anyOf,
  type Authorize,
  not,
  type PeerCredentials,
  type Refusal,
} from 'afunix/credentials';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../differential/random';
import { grown, takeCensus } from '../helpers/descriptors';
import { happens } from '../helpers/sockets';
import { connect, gone, kinds, serve, type Kind } from './support';

/** `null`: it cannot be known; `never`: there is no answer. */
type Meant = boolean | null | 'never';

interface Answer {
  readonly meant: Meant;
  give(): unknown;
}

const fail = (what: unknown) => (): never => {
  throw what;
};
const late = (give: () => unknown) => async (): Promise<unknown> => {
  await delay(1);
  return give();
};
const thenable =
  (then: (resolve: (value: unknown) => void, reject: (why: unknown) => void) => void) =>
  (): unknown => ({ then });

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const speechless = Object.defineProperty(new Error(), 'message', { get: fail('no words') });
const thrown = [
  new Error('down'),
  undefined,
  null,
  0,
  'yes',
  true,
  Object.create(null),
  revoked(),
  speechless,
  Symbol('s'),
];

const said: readonly (readonly [Meant, readonly unknown[]])[] = [
  [true, [true, { admitted: true }, { admitted: true, reason: 7 }]],
  [false, [false, { admitted: false }, { admitted: false, reason: revoked() }]],
  [
    null,
    [
      undefined,
      null,
      0,
      1,
      NaN,
      1n,
      '',
      'yes',
      'true',
      'unknown',
      {},
      [],
      [true],
      Object(true) as object,
      Object.create(null),
      Symbol('yes'),
      () => true,
      revoked(),
      { admitted: 'unknown' },
      { admitted: 'true' },
      { admitted: 1, reason: 'truthy' },
      { admitted: Promise.resolve(true) },
      Object.defineProperty({}, 'admitted', { get: fail('a getter') }),
      Object.defineProperty({}, 'then', { get: fail('a getter') }),
    ],
  ],
];

/** At once, as a promise, late, and as something that only has `then`. */
const answers: readonly Answer[] = [
  ...said.flatMap(([meant, values]) =>
    values.flatMap((value): Answer[] => [
      { meant, give: () => value },
      { meant, give: async () => Promise.resolve(value) },
      { meant, give: late(() => value) },
      { meant, give: thenable((resolve) => resolve(value)) },
    ]),
  ),
  ...thrown.flatMap((what): Answer[] => [
    { meant: null, give: fail(what) },
    { meant: null, give: async () => Promise.reject(what as Error) },
    { meant: null, give: late(fail(what)) },
    { meant: null, give: thenable(fail(what)) },
    { meant: null, give: thenable((_, reject) => setImmediate(reject, what)) },
  ]),
  { meant: 'never', give: async () => new Promise(() => undefined) },
  { meant: 'never', give: thenable(() => undefined) },
  // The first word counts.
  {
    meant: false,
    give: thenable((resolve) => {
      resolve(false);
      resolve(true);
    }),
  },
  {
    meant: true,
    give: thenable((resolve) => {
      resolve(true);
      throw new Error('too late');
    }),
  },
  {
    meant: null,
    give: thenable((resolve, reject) => {
      reject(new Error('no'));
      resolve(true);
    }),
  },
];
const clear = answers.filter(({ meant }) => meant === true);

/** A policy of one function or several, whose answers are those of whoever connects. */
interface Tree {
  readonly policy: Authorize;
  meant(answers: readonly Answer[]): Meant;
}

type Told = (peer: PeerCredentials, index: number) => unknown;

const MOST_ATOMS = 4;

function makeTree(random: Random, told: Told, depth = 2): Tree {
  const kind = depth === 0 ? 0 : random.below(5);
  if (kind < 2) {
    const index = random.below(MOST_ATOMS);
    return {
      policy: (peer) => told(peer, index) as boolean,
      meant: (given) => given[index].meant,
    };
  }
  if (kind === 2) {
    const inner = makeTree(random, told, depth - 1);
    return {
      policy: not(inner.policy),
      meant: (given) => {
        const is = inner.meant(given);
        return typeof is === 'boolean' ? !is : is;
      },
    };
  }
  const parts = Array.from({ length: 1 + random.below(3) }, () =>
    makeTree(random, told, depth - 1),
  );
  const decides = kind === 3;
  const policies = parts.map(({ policy }) => policy);
  return {
    policy: decides ? anyOf(...policies) : allOf(...policies),
    meant: (given) => {
      let all: Meant = !decides;
      for (const part of parts) {
        const is = part.meant(given);
        if (is === decides || is === 'never') return is;
        if (is === null) all = null;
      }
      return all;
    },
  };
}

/** Of one who connects. */
interface Visit {
  readonly answers: readonly Answer[];
  readonly leaves: 'stays' | 'while asked' | 'soon' | 'with a word';
  client?: Socket;
  became: 'admitted' | Refusal['code'] | undefined;
}

/** Of who has a clear yes. The time that an answer has is short, because some never come, and a busy machine takes longer for others. */
const admits = (became: Visit['became']): boolean => became === 'admitted' || became === 'timeout';

const MANY = 12;
const LEAVES = ['stays', 'stays', 'stays', 'while asked', 'soon', 'with a word'] as const;

async function round(t: TestContext, kind: Kind, random: Random, closes: boolean): Promise<void> {
  let visits: Visit[] = [];
  const of = new Map<PeerCredentials, Visit>();
  let asked = 0;
  let whenAllAreAsked: () => void = () => undefined;
  const told: Told = (peer, index) => (of.get(peer)?.answers[index] as Answer).give();
  const { policy, meant } = makeTree(random, told);
  const begin: Authorize = (peer) => {
    // Who comes first is accepted first.
    const visit = visits[asked];
    asked += 1;
    of.set(peer, visit);
    const { client, leaves } = visit;
    if (leaves === 'while asked') client?.destroy();
    if (leaves === 'soon') setImmediate(() => client?.destroy());
    if (asked === MANY) whenAllAreAsked();
    return true;
  };
  // Of the places of those who wait a user has three quarters.
  const limits = { maxConnectionsPerUid: MANY, maxUnauthorized: Math.ceil((MANY * 4) / 3) };
  const guarded = await serve(t, kind, {
    authorize: allOf(begin, policy),
    authorizeTimeout: 40,
    ...limits,
  });
  let over: () => void = () => undefined;
  const settle = (peer: PeerCredentials, became: Visit['became']): void => {
    const visit = of.get(peer);
    if (visit === undefined) return;
    assert.equal(visit.became, undefined, 'decided about once');
    visit.became = became;
    if (visits.every((one) => one.became !== undefined)) over();
  };
  guarded.server.on('connection', ({ peerCredentials }: Socket) =>
    settle(peerCredentials as PeerCredentials, 'admitted'),
  );
  guarded.server.on('refused', (peer: PeerCredentials, { code }: Refusal) => settle(peer, code));

  const wave = async (make: () => Pick<Visit, 'answers' | 'leaves'>): Promise<void> => {
    visits = [];
    asked = 0;
    const all = new Promise<void>((resolve) => (over = resolve));
    for (let i = 0; i < MANY; i += 1) {
      const visit: Visit = { ...make(), became: undefined };
      visits.push(visit);
      visit.client = connect(t, kind, guarded.path);
      if (visit.leaves === 'with a word') {
        if (kind === 'stream') visit.client.end('a word');
        else (visit.client as unknown as { end(message: string): void }).end('a word');
      }
    }
    await all;
  };
  const leave = async (): Promise<void> => {
    for (const { client } of visits) client?.destroy();
    for (const socket of guarded.sockets) socket.destroy();
    await Promise.all([
      ...visits.map(({ client }) => gone(client as Socket)),
      ...guarded.sockets.map(gone),
    ]);
    guarded.sockets.length = 0;
  };

  await wave(() => ({
    answers: Array.from({ length: MOST_ATOMS }, () => random.pick(answers)),
    leaves: random.pick(LEAVES),
  }));
  for (const { answers: given, leaves, became } of visits) {
    const is = meant(given);
    if (is !== true) assert.notEqual(became, 'admitted', `${String(policy)}: ${String(is)}`);
    else if (leaves === 'stays' || leaves === 'with a word') assert.ok(admits(became), became);
  }
  await leave();

  // All places are free: as many as there are come at once, and wait at once.
  const yes = clear.filter(({ give }) => give() instanceof Promise);
  const no = answers.find(({ meant: is, give }) => is === false && give() === false) as Answer;
  const given = [
    Array.from({ length: MOST_ATOMS }, () => random.pick(yes)),
    Array.from({ length: MOST_ATOMS }, () => no),
  ].find((some) => meant(some) === true);
  if (given !== undefined) {
    await wave(() => ({ answers: given, leaves: 'stays' }));
    for (const { became } of visits) assert.ok(admits(became), became);
    await leave();
  }
  // And who is asked while the server closes is not let in.
  if (closes) {
    const never = answers.filter(({ meant: is }) => is === 'never');
    whenAllAreAsked = () => guarded.server.close();
    await wave(() => ({ answers: [...never, ...never], leaves: 'stays' }));
    for (const { became } of visits) assert.match(String(became), /^(closed|timeout)$/);
  } else {
    guarded.server.close();
  }
  if (guarded.server.listening) await happens(guarded.server, 'close');
}

const rounds = process.env['AFUNIX_LONG'] === '1' ? 1000 : 40;

for (const kind of kinds) {
  test(`${kind}: whatever a policy does, only a clear yes admits`, async (t) => {
    const seed = Number(process.env['AFUNIX_SEED'] ?? Date.now() % 1e6);
    t.diagnostic(`AFUNIX_SEED=${seed}`);
    const random = new Random(seed);
    // What the first one opens is kept: whoever watches those who wait.
    await round(t, kind, random, true);
    const before = takeCensus();
    for (let i = 0; i < rounds; i += 1) {
      await round(t, kind, random, i % 4 === 0);
      for (let j = 0; j < 1000 && Object.keys(grown(before, takeCensus())).length > 0; j += 1) {
        await delay(5);
      }
      assert.deepEqual(grown(before, takeCensus()), {}, `round ${i}`);
    }
  });
}
