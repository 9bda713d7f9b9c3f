/** `authorize`: asked before 'connection', before anything is read; who is not admitted is gone. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, test } from 'node:test';
import { statSync } from 'node:fs';
import net, { type Server, type ServerOptions, stats, type Socket } from 'afunix';
import seqpacket from 'afunix/seqpacket';
import {
  allOf,
  anyOf,
  type Authorize,
  not,
  type PeerCredentials,
  type Refusal,
  sameUser,
  uid,
} from 'afunix/credentials';
import { setTimeout as delay } from 'node:timers/promises';
import { callWith } from '../helpers/attempt';
import { grown, takeCensus } from '../helpers/descriptors';
import { freshPath } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';
import { connect, gone, kinds, serve } from './support';

const ourUid = process.geteuid?.() ?? -1;
const somebodyElse = ourUid + 1;

/** Everything that a socket of either kind delivers until its end. */
async function everything(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += String(chunk)));
  socket.on('message', (message: Buffer) => (text += String(message)));
  await happens(socket, 'end');
  return text;
}

function send(socket: Socket, text: string): void {
  if ('send' in socket) (socket as unknown as { send(text: string): void }).send(text);
  else socket.write(text);
}

interface Decision {
  readonly authorize: Authorize;
  answer(answer: boolean): void;
  readonly asked: Promise<PeerCredentials>;
  readonly signal: () => AbortSignal;
}

/** An authorizing function that answers when it is told to. */
function decision(): Decision {
  let answer: (answer: boolean) => void = () => undefined;
  let ask: (peer: PeerCredentials) => void = () => undefined;
  let signal: AbortSignal | undefined;
  const asked = new Promise<PeerCredentials>((resolve) => (ask = resolve));
  const answered = new Promise<boolean>((resolve) => (answer = resolve));
  return {
    authorize: (peer, context) => {
      ({ signal } = context);
      ask(peer);
      return answered;
    },
    answer: (given) => answer(given),
    asked,
    signal: () => {
      assert.ok(signal !== undefined);
      return signal;
    },
  };
}

for (const kind of kinds) {
  describe(kind, () => {
    test('admits whom the policy admits, who then is the one that it saw', async (t) => {
      let seen: PeerCredentials | undefined;
      const authorize = (peer: PeerCredentials): boolean => {
        seen = peer;
        return peer.uid === ourUid;
      };
      const { path, connection, refused } = await serve(t, kind, { authorize });
      connect(t, kind, path);
      const socket = await connection();
      assert.equal(socket.peerCredentials, seen);
      assert.ok(seen?.groups !== null, 'the rest can still be asked for');
      assert.deepEqual(refused, []);
    });

    test('is an option of the server as well, and listen() comes first', async (t) => {
      const strict = { authorize: uid(somebodyElse) };
      const closed = await serve(t, kind, {}, strict);
      await gone(connect(t, kind, closed.path));
      assert.equal(closed.refused.length, 1);
      const open = await serve(t, kind, { authorize: sameUser() }, strict);
      connect(t, kind, open.path);
      await open.connection();
    });

    test('refuses everybody else: closed, told with the reason, counted, and never a connection', async (t) => {
      const guarded = await serve(t, kind, { authorize: uid(somebodyElse) });
      const before = stats().refused;
      const client = connect(t, kind, guarded.path);
      const { peer, refusal } = await guarded.refusal();
      assert.equal(peer.uid, ourUid);
      assert.equal(peer.pid, process.pid);
      assert.ok(peer.groups?.includes(process.getegid?.() ?? -1), 'known while it is told');
      assert.equal(refusal.code, 'policy');
      assert.equal(String(refusal), `uid ${ourUid} is not one of ${somebodyElse}`);
      assert.equal(refusal.cause, undefined);
      await gone(client);
      assert.equal(stats().refused, before + 1);
      assert.deepEqual(guarded.sockets, []);
      const count = await new Promise((resolve) => {
        guarded.server.getConnections((_, connections) => resolve(connections));
      });
      assert.equal(count, 0);
    });

    test('anything but true refuses', async (t) => {
      const answers: [unknown, RegExp][] = [
        [false, /refused/],
        ['not on Sundays', /^not on Sundays$/],
        [undefined, /returned undefined, which is not true/],
        [1, /returned number, which is not true/],
        [null, /which is not true/],
        [{}, /returned object/],
        [Promise.resolve('later no'), /^later no$/],
        [Promise.resolve(1), /returned number/],
      ];
      for (const [answer, reason] of answers) {
        const guarded = await serve(t, kind, { authorize: () => answer as boolean });
        const told = guarded.refusal();
        await gone(connect(t, kind, guarded.path));
        assert.match(String((await told).refusal), reason);
        assert.deepEqual(guarded.sockets, []);
      }
    });

    test('an error refuses, thrown or rejected with', async (t) => {
      const error = new Error('the directory is down');
      for (const authorize of [
        (): boolean => {
          throw error;
        },
        (): Promise<boolean> => Promise.reject(error),
        not((): boolean => {
          throw error;
        }),
        not(() => Promise.reject(error)),
        anyOf(uid(somebodyElse), () => Promise.reject(error)),
      ]) {
        const guarded = await serve(t, kind, { authorize });
        const told = guarded.refusal();
        await gone(connect(t, kind, guarded.path));
        const { refusal } = await told;
        assert.equal(refusal.code, 'error');
        assert.equal(refusal.cause, error);
        assert.match(refusal.message, /the directory is down/);
      }
    });

    test('an error that cannot even be looked at refuses as well, and leaves nothing behind', async (t) => {
      const revoked = Proxy.revocable({}, {});
      revoked.revoke();
      const speechless = new Error();
      Object.defineProperty(speechless, 'message', {
        get() {
          throw new Error('no message');
        },
      });
      const foreign = Object.assign(Promise.resolve(true), { then: () => undefined });
      const thrown: unknown[] = [Object.create(null), revoked.proxy, speechless, Symbol('s'), 1n];
      const policies = thrown.flatMap((what): Authorize[] => {
        const fail = (): boolean => {
          throw what;
        };
        const failLate = async (): Promise<boolean> => Promise.resolve().then(fail);
        return [fail, failLate, not(fail), not(failLate)];
      });
      policies.push(() => foreign);
      for (const authorize of policies) {
        const limits = { authorizeTimeout: 50, maxConnectionsPerUid: 1, maxUnauthorized: 1 };
        const guarded = await serve(t, kind, { authorize, ...limits });
        for (const _ of ['once', 'and again: the place is free']) {
          const told = guarded.refusal();
          await gone(connect(t, kind, guarded.path));
          assert.match((await told).refusal.code, /^(error|timeout)$/);
        }
        assert.deepEqual(guarded.sockets, []);
      }
    });

    test('a limit that throws when it is read refuses', async (t) => {
      const guarded = await serve(t, kind, { authorize: sameUser() });
      const failure = new Error('in a getter');
      Object.defineProperty(guarded.server, 'maxConnections', {
        get() {
          throw failure;
        },
      });
      const told = guarded.refusal();
      await gone(connect(t, kind, guarded.path));
      assert.equal((await told).refusal.cause, failure);
    });

    test('a reason is not an answer: whoever is turned away with one is not what not() looks for', async (t) => {
      const admitting: Authorize[] = [
        not(() => false),
        not(() => ({ admitted: false, reason: 'not on Sundays' })),
        () => ({ admitted: true }),
        anyOf(
          () => 'unknown',
          () => Promise.resolve({ admitted: true }),
        ),
      ];
      const refusing: [Authorize, RegExp][] = [
        [not(() => 'database down'), /^database down$/],
        [not(() => 'unknown'), /does not know/],
        [not(() => ({ admitted: 'unknown', reason: 'no network' })), /^no network$/],
        [not(() => Promise.resolve('no')), /^no$/],
        [not(() => ({}) as boolean), /returned object/],
        [not(() => null as never), /which is not true/],
        [not(() => ({ admitted: true })), /must not be/],
        [() => ({ admitted: false, reason: 'not on Sundays' }), /^not on Sundays$/],
        [() => ({ admitted: 'yes' }) as never, /does not know/],
        [
          allOf(
            () => true,
            not(() => 'no'),
          ),
          /^no$/,
        ],
      ];
      for (const authorize of admitting) {
        const guarded = await serve(t, kind, { authorize });
        const connected = guarded.connection();
        connect(t, kind, guarded.path);
        await connected;
      }
      for (const [authorize, reason] of refusing) {
        const guarded = await serve(t, kind, { authorize });
        const told = guarded.refusal();
        await gone(connect(t, kind, guarded.path));
        assert.match((await told).refusal.message, reason);
        assert.deepEqual(guarded.sockets, []);
      }
    });

    test('what is done to the options afterwards neither changes nor removes the guard', async (t) => {
      const strict = uid(somebodyElse);
      const inherited: ServerOptions = { authorize: strict };
      const readings: Authorize[] = [strict, sameUser()];
      const getter = Object.defineProperty({}, 'authorize', { get: () => readings.shift() });
      const changes: [ServerOptions, (options: ServerOptions) => unknown][] = [
        [{ authorize: strict }, (options) => delete options.authorize],
        [{ authorize: strict }, (options) => (options.authorize = sameUser())],
        [Object.create(inherited) as ServerOptions, () => delete inherited.authorize],
        [getter, () => undefined],
      ];
      for (const [options, change] of changes) {
        const server =
          kind === 'stream'
            ? net.createServer(options)
            : (seqpacket.createServer(options) as unknown as Server);
        change(options);
        const path = freshPath(t);
        server.listen({ path });
        await happens(server, 'listening');
        change(options);
        server.on('connection', () => assert.fail('admitted'));
        const refused = happens(server, 'refused');
        await Promise.all([refused, gone(connect(t, kind, path))]);
        server.close();
      }
    });

    test('options of listen() that are inherited protect as well', async (t) => {
      const path = freshPath(t);
      const server = kind === 'stream' ? net.createServer() : seqpacket.createServer();
      server.listen(Object.create({ path, mode: 0o620, authorize: uid(somebodyElse) }) as object);
      await happens(server, 'listening');
      t.after(() => server.close());
      assert.equal(statSync(path).mode & 0o777, 0o620);
      await Promise.all([happens(server, 'refused'), gone(connect(t, kind, path))]);
    });

    test('what takes too long is refused, and is told so', async (t) => {
      const asked = decision();
      const { authorize } = asked;
      const guarded = await serve(t, kind, { authorize, authorizeTimeout: 20 });
      const told = guarded.refusal();
      await gone(connect(t, kind, guarded.path));
      assert.equal((await told).refusal.code, 'timeout');
      assert.equal(asked.signal().aborted, true);
      asked.answer(true);
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(guarded.sockets, [], 'too late');
    });

    test('what is sent meanwhile is there afterwards', async (t) => {
      const asked = decision();
      const guarded = await serve(t, kind, { authorize: asked.authorize });
      const client = connect(t, kind, guarded.path);
      await happens(client, 'connect');
      send(client, 'first ');
      send(client, 'second');
      await asked.asked;
      await new Promise((resolve) => setTimeout(resolve, 20));
      const connected = guarded.connection();
      asked.answer(true);
      const socket = await connected;
      assert.equal(socket.bytesRead, 0);
      client.end();
      assert.equal(await everything(socket), 'first second');
    });

    test('a client that has sent and gone meanwhile is served what it sent', async (t) => {
      const asked = decision();
      const guarded = await serve(t, kind, { authorize: asked.authorize });
      const client = connect(t, kind, guarded.path);
      await happens(client, 'connect');
      send(client, 'and goodbye');
      client.end();
      await asked.asked;
      client.destroy();
      await gone(client);
      const connected = guarded.connection();
      asked.answer(true);
      assert.equal(await everything(await connected), 'and goodbye');
    });

    test('who has gone meanwhile without a word gives up the place, and the question is taken back', async (t) => {
      const asked: AbortSignal[] = [];
      const authorize: Authorize = (_, { signal }) => {
        asked.push(signal);
        return new Promise<boolean>(() => undefined);
      };
      const guarded = await serve(t, kind, { authorize, maxUnauthorized: 8 });
      let before = takeCensus();
      for (let round = 0; round < 4; round += 1) {
        // What the first round opens is kept.
        if (round === 1) before = takeCensus();
        const codes: string[] = [];
        const all = new Promise<void>((resolve) => {
          guarded.server.on('refused', (_: unknown, { code }: Refusal) => {
            codes.push(code);
            if (codes.length === 6) resolve();
          });
        });
        for (let i = 0; i < 6; i += 1) {
          const client = connect(t, kind, guarded.path);
          await happens(client, 'connect');
          client.destroy();
        }
        await all;
        guarded.server.removeAllListeners('refused');
        assert.deepEqual(codes, Array<string>(6).fill('gone'));
      }
      assert.equal(asked.length, 24);
      assert.ok(asked.every((signal) => signal.aborted));
      while (Object.keys(grown(before, takeCensus())).length > 0) await delay(5);
    });

    test('who has sent something and gone keeps the place until somebody who is there needs it', async (t) => {
      const answers: ((answer: boolean) => void)[] = [];
      const authorize: Authorize = () => new Promise<boolean>((resolve) => answers.push(resolve));
      const guarded = await serve(t, kind, { authorize, maxUnauthorized: 4 });
      for (let i = 0; i < 3; i += 1) {
        const client = connect(t, kind, guarded.path);
        await happens(client, 'connect');
        send(client, `word ${i}`);
        client.destroy();
        await gone(client);
      }
      while (answers.length < 3) await delay(1);
      // Until the server has noticed that one of them has gone there is no place for anybody else.
      let there: Socket;
      let code: string;
      do {
        const refused = guarded.refusal();
        there = connect(t, kind, guarded.path);
        ({ code } = (await refused).refusal);
      } while (code === 'maxUnauthorized');
      assert.equal(code, 'gone');
      while (answers.length < 4) await delay(1);
      for (const answer of answers) answer(true);
      while (guarded.sockets.length < 3) await guarded.connection();
      const words: string[] = [];
      for (const socket of guarded.sockets.slice(0, 2)) words.push(await everything(socket));
      assert.deepEqual(words, ['word 1', 'word 2']);
      assert.equal(there.destroyed, false);
    });

    test('a server that is closed meanwhile refuses whoever waits', async (t) => {
      const asked = decision();
      const guarded = await serve(t, kind, { authorize: asked.authorize });
      const client = connect(t, kind, guarded.path);
      await asked.asked;
      const told = guarded.refusal();
      const closed = happens(guarded.server, 'close');
      guarded.server.close();
      await Promise.all([closed, gone(client)]);
      assert.equal((await told).refusal.code, 'closed');
      assert.equal(asked.signal().aborted, true);
      asked.answer(true);
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(guarded.sockets, []);
    });

    test('a server that its own authorization closes lets nobody in any more', async (t) => {
      const close = (): boolean => {
        guarded.server.close();
        return true;
      };
      const guarded = await serve(t, kind, { authorize: close });
      const told = guarded.refusal();
      await gone(connect(t, kind, guarded.path));
      assert.equal((await told).refusal.code, 'closed');
      assert.deepEqual(guarded.sockets, []);
    });

    test('a connection that had to wait is told in no context of its authorization', async (t) => {
      const storage = new AsyncLocalStorage<string>();
      const guarded = await serve(t, kind, {
        authorize: () => storage.run('of the authorization', () => Promise.resolve(true)),
      });
      const seen: unknown[] = [];
      guarded.server.on('connection', (socket: Socket) => {
        seen.push(storage.getStore());
        socket.on('close', () => seen.push(storage.getStore()));
      });
      const client = connect(t, kind, guarded.path);
      const socket = await guarded.connection();
      client.destroy();
      await gone(socket);
      assert.deepEqual(seen, [undefined, undefined]);
    });

    test('a listener to refused that throws is an uncaught exception, and the client is gone all the same', async (t) => {
      for (const authorize of [() => false, () => Promise.resolve(false)]) {
        const guarded = await serve(t, kind, { authorize });
        const thrown = new Error('in a listener');
        guarded.server.on('refused', () => {
          throw thrown;
        });
        const uncaught = new Promise((resolve) => {
          process.setUncaughtExceptionCaptureCallback(resolve);
        });
        const client = connect(t, kind, guarded.path);
        assert.equal(await uncaught, thrown);
        process.setUncaughtExceptionCaptureCallback(null);
        await gone(client);
      }
    });

    test('connections of one user, and of all, are limited', async (t) => {
      const guarded = await serve(t, kind, { authorize: sameUser(), maxConnectionsPerUid: 2 });
      const clients = [connect(t, kind, guarded.path), connect(t, kind, guarded.path)];
      while (guarded.sockets.length < 2) await guarded.connection();
      const third = connect(t, kind, guarded.path);
      assert.equal((await guarded.refusal()).refusal.code, 'maxConnectionsPerUid');
      await gone(third);
      // Room again when one has gone.
      clients[0].destroy();
      await gone(guarded.sockets[0]);
      connect(t, kind, guarded.path);
      await guarded.connection();

      guarded.server.maxConnections = 2;
      const dropped = happens(guarded.server, 'drop');
      connect(t, kind, guarded.path);
      const { refusal } = await guarded.refusal();
      assert.equal(refusal.code, 'maxConnections');
      await dropped;
      assert.equal(guarded.sockets.length, 3);
    });

    test('maxConnectionsPerUid works without authorize', async (t) => {
      const guarded = await serve(t, kind, { maxConnectionsPerUid: 1 });
      connect(t, kind, guarded.path);
      await guarded.connection();
      const second = connect(t, kind, guarded.path);
      assert.equal((await guarded.refusal()).refusal.code, 'maxConnectionsPerUid');
      await gone(second);
    });

    test('who waits while a listener is replaced is still decided about', async (t) => {
      const asked = decision();
      const guarded = await serve(t, kind, { authorize: asked.authorize, stale: 'replace' });
      connect(t, kind, guarded.path);
      await asked.asked;
      guarded.server.close();
      const connected = guarded.connection();
      asked.answer(true);
      await connected;
      assert.deepEqual(guarded.refused, []);
    });

    test('connections of one user count over listeners', async (t) => {
      const rules = { authorize: sameUser(), maxConnectionsPerUid: 1 };
      const guarded = await serve(t, kind, rules);
      connect(t, kind, guarded.path);
      await guarded.connection();
      guarded.server.close();
      guarded.server.listen({ path: guarded.path, ...rules });
      await happens(guarded.server, 'listening');
      connect(t, kind, guarded.path);
      assert.equal((await guarded.refusal()).refusal.code, 'maxConnectionsPerUid');
    });

    test('an option that is undefined does not take the policy of the server away', async (t) => {
      const given = { authorize: undefined };
      const guarded = await serve(t, kind, given, { authorize: uid(somebodyElse) });
      connect(t, kind, guarded.path);
      assert.equal((await guarded.refusal()).refusal.code, 'policy');
    });

    test('those that wait are limited, and one user cannot have all the places', async (t) => {
      const asked = decision();
      const guarded = await serve(t, kind, { authorize: asked.authorize, maxUnauthorized: 4 });
      const clients = Array.from({ length: 4 }, () => connect(t, kind, guarded.path));
      const { refusal } = await guarded.refusal();
      assert.equal(refusal.code, 'maxUnauthorized');
      assert.match(refusal.message, /^3 of uid \d+ connections .* maxUnauthorized is 4$/);
      asked.answer(true);
      while (guarded.sockets.length < 3) await guarded.connection();
      assert.equal(guarded.refused.length, 1);
      assert.equal(clients.length, 4);
    });
  });
}

describe('what is no rule', () => {
  test('is refused before anything listens', (t) => {
    const path = freshPath(t);
    const server = net.createServer();
    const listen = (options: object): void => void server.listen({ path, ...options });
    for (const authorize of [null, true, 'root', 0, {}]) {
      assert.throws(() => listen({ authorize }), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const name of ['maxConnectionsPerUid', 'maxUnauthorized', 'authorizeTimeout']) {
      assert.throws(() => listen({ [name]: -1 }), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => listen({ [name]: '1' }), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => listen({ [name]: null }), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const connect of [net.connect, seqpacket.connect]) {
      const given = { path, authorizeTimeout: null } as never;
      assert.throws(() => void connect(given), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.equal(server.listening, false);
    for (const make of [anyOf, allOf, uid]) {
      assert.throws(() => make(), { code: 'ERR_INVALID_ARG_VALUE' });
    }
    assert.throws(() => uid('0'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => uid(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => uid(0xffffffff), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => not(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  test('is refused where nobody looks for options: behind the first argument', (t) => {
    const path = freshPath(t);
    const misplaced = { authorize: sameUser() };
    for (const module of [net, seqpacket]) {
      const listen = (...args: unknown[]): unknown =>
        callWith(callWith(module, 'createServer') as object, 'listen', ...args);
      for (const action of [
        () => listen(path, misplaced),
        () => listen(path, 5, misplaced),
        () => callWith(module, 'connect', path, misplaced),
      ]) {
        assert.throws(action, { code: 'ERR_AFUNIX_UNGUARDED', message: /first argument/ });
      }
    }
  });

  test('nor is anybody let in where no rule can be kept: TCP', () => {
    const server = net.createServer({ authorize: sameUser() });
    assert.throws(() => server.listen(0), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => net.createServer().listen({ port: 0, authorize: sameUser() }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });
});

for (const kind of kinds) {
  describe(`a ${kind} client that asks who listens`, () => {
    const options = (path: string, authorize: Authorize, more: object = {}): object => ({
      path,
      authorize,
      ...more,
    });
    const connectTo = async (given: object): Promise<Socket> => {
      if (kind === 'stream') return net.connect(given as { path: string });
      const { default: seqpacket } = await import('afunix/seqpacket');
      return seqpacket.connect(given as { path: string }) as unknown as Socket;
    };

    test('connects to whom it admits, and what was written meanwhile goes there', async (t) => {
      for (const authorize of [sameUser(), () => Promise.resolve(true)]) {
        const guarded = await serve(t, kind);
        const client = await connectTo(options(guarded.path, authorize));
        t.after(() => client.destroy());
        if (kind === 'stream') client.end('hello');
        else
          client.once('connect', () => send(client, 'hello')).once('connect', () => client.end());
        const socket = await guarded.connection();
        assert.equal(await everything(socket), 'hello');
      }
    });

    test('tells anybody else nothing', async (t) => {
      const late = (): Promise<boolean> => new Promise(() => undefined);
      const cases: [Authorize, object, RegExp][] = [
        [uid(somebodyElse), {}, /uid \d+ is not one of/],
        [() => Promise.resolve(false), {}, /refused/],
        [late, { authorizeTimeout: 20 }, /took longer than 20 ms/],
      ];
      for (const [authorize, more, reason] of cases) {
        const guarded = await serve(t, kind);
        const client = await connectTo(options(guarded.path, authorize, more));
        const seen: string[] = [];
        client.on('connect', () => seen.push('connect'));
        if (kind === 'stream') client.write('a secret');
        const accepted = guarded.connection();
        const [error] = (await happens(client, 'error')) as [NodeJS.ErrnoException];
        assert.equal(error.code, 'ERR_AFUNIX_REFUSED');
        assert.match(error.message, reason);
        assert.equal(await everything(await accepted), '');
        assert.deepEqual(seen, []);
      }
    });
  });
}

test('a client that asks who listens on a port is told that nobody can say', () => {
  assert.throws(() => net.connect({ port: 1, authorize: sameUser() } as never), {
    code: 'ERR_AFUNIX_UNGUARDED',
  });
  assert.throws(() => new net.Socket().connect({ port: 1, authorize: sameUser() } as never), {
    code: 'ERR_AFUNIX_UNGUARDED',
  });
  assert.throws(() => net.connect({ path: freshPathless, authorize: null as never }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
});

const freshPathless = '/nowhere/at all';

test('a guarded server that goes to another thread has to be guarded there', async (t) => {
  const { server } = await serve(t, 'stream', { authorize: sameUser() });
  const transferred = net.transfer(server);
  assert.equal(transferred.guarded, true);
  assert.throws(() => net.receive(transferred), { code: 'ERR_AFUNIX_UNGUARDED' });
  const received = net.receive(transferred, { authorize: uid(somebodyElse) });
  await happens(received, 'listening');
  received.close();
});
