/** What can be set, what is said about it, and what is said of values that cannot be. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as afunix from 'afunix';
import { type Afunix, assertQuiet, type Ending, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import { attempt } from '../helpers/attempt';

interface Failure {
  readonly code?: string;
  readonly name: string;
  readonly message: string;
}

function assertOutOfRange(error: unknown, name: string, value: unknown): void {
  const { code, name: kind, message } = error as Failure;
  assert.deepEqual({ code, kind }, { code: 'ERR_OUT_OF_RANGE', kind: 'RangeError' });
  assert.ok(
    message.includes(`"${name}"`) && message.endsWith(`Received ${String(value)}`),
    message,
  );
}

const unusable: readonly unknown[] = [-1, NaN, Infinity, 1_000_001, '50', null, {}, true, 1n];

for (const value of unusable) {
  test(`configure({ busyPoll: ${String(value)} of type ${typeof value} }) throws, and changes nothing`, () => {
    assertOutOfRange(
      attempt(() => afunix.configure({ busyPoll: value as number })),
      'configuration.busyPoll',
      value,
    );
  });
}

for (const value of ['', 'uring', 'EPOLL', 'net', null, 5, {}]) {
  test(`configure({ engine: ${JSON.stringify(value)} }) throws, and changes nothing`, () => {
    const before = afunix.features().engine;
    assertOutOfRange(
      attempt(() => afunix.configure({ engine: value as 'auto' })),
      'configuration.engine',
      value,
    );
    assert.equal(afunix.features().engine, before);
  });
}

test('a bad value keeps the good ones beside it from being set', async (t) => {
  const { lines } = await alone(t, {}, ({ net, say }) => {
    try {
      net.configure({ engine: 'io_uring', busyPoll: -1 });
    } catch {
      say(net.features().engineReason);
    }
  });
  assert.deepEqual(lines, ['undefined']);
});

test('configure() takes 0, the longest polling, and nothing at all', () => {
  afunix.configure({});
  afunix.configure({ busyPoll: 1_000_000 });
  afunix.configure({ busyPoll: 0 });
  afunix.configure({ busyPoll: undefined, engine: undefined });
});

interface Context {
  readonly net: Afunix;
  readonly address: string;
  say(line: unknown): void;
}

/** `body` runs in another process and uses nothing else from this file. */
async function alone(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  body: (context: Context) => unknown,
): Promise<Ending> {
  const parameters = { address: freshPath(t), body: `(${String(body)})` };
  const lone = startLone(
    t,
    parameters,
    ({ net, require, parameters, say }) => {
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      const body = runInThisContext(parameters.body) as (context: Context) => unknown;
      return body({ net, address: parameters.address, say });
    },
    { env },
  );
  return lone.ended;
}

for (const [name, values] of Object.entries({
  AFUNIX_ENGINE: ['uring', 'EPOLL', 'net', ' epoll'],
  AFUNIX_BUSY_POLL: ['fast', '-1', '1000001', 'NaN', 'Infinity', '5e9'],
})) {
  for (const value of values) {
    test(`${name}='${value}' is refused, by name`, async (t) => {
      const { code, stderr, lines } = await alone(t, { [name]: value }, ({ say }) => say('loaded'));
      assert.notEqual(code, 0);
      assert.deepEqual(lines, []);
      assert.match(stderr, new RegExp(`RangeError.*The value of "${name}" is out of range`));
      assert.match(stderr, /ERR_OUT_OF_RANGE/);
    });
  }
}

for (const engine of ['epoll', 'auto', '']) {
  test(`AFUNIX_ENGINE='${engine}' means epoll`, async (t) => {
    const ending = await alone(t, { AFUNIX_ENGINE: engine }, ({ net, say }) => {
      const [one, other] = net.socketpair();
      other.on('data', () => {
        one.destroy();
        other.destroy();
        say(net.features().addon.available);
        say(net.features().engine === net.stats().engine);
        say(net.stats().engine);
      });
      one.write('x');
    });
    assertQuiet(ending);
    assert.deepEqual(ending.lines, ['true', 'true', 'epoll']);
  });
}

test('an engine that is asked for and not there: another one runs, and features() says why', async (t) => {
  const ending = await alone(t, { AFUNIX_ENGINE: 'io_uring' }, ({ net, say }) => {
    const { engine, engineReason, ioUring } = net.features();
    const [one, other] = net.socketpair();
    other.on('data', () => {
      one.destroy();
      other.destroy();
      say(engine === net.stats().engine);
      say(ioUring.available ? engine === 'io_uring' : engine === 'epoll');
      say(ioUring.available || (typeof engineReason === 'string' && engineReason !== ''));
    });
    one.write('x');
  });
  assertQuiet(ending);
  assert.deepEqual(ending.lines, ['true', 'true', 'true']);
});

test('the engine cannot be changed once it runs, and the same one may be named again', async (t) => {
  const ending = await alone(t, { AFUNIX_ENGINE: 'epoll' }, ({ net, say }) => {
    net.configure({ engine: 'auto' });
    net.configure({ engine: 'epoll' });
    for (const socket of net.socketpair()) socket.destroy();
    net.configure({ engine: 'epoll' });
    try {
      net.configure({ engine: 'auto' });
      say('no error');
    } catch (error) {
      say((error as Failure).code);
    }
  });
  assertQuiet(ending);
  assert.deepEqual(ending.lines, ['ERR_AFUNIX_STARTED']);
});

test('configure() goes before the environment', async (t) => {
  const ending = await alone(t, { AFUNIX_ENGINE: 'io_uring' }, ({ net, say }) => {
    net.configure({ engine: 'epoll' });
    say(net.features().engine);
    say(net.features().engineReason);
  });
  assert.deepEqual(ending.lines, ['epoll', 'undefined']);
});

test('features() tells what is there without starting anything', async (t) => {
  const ending = await alone(t, {}, ({ net, say }) => {
    const { readdirSync } = process.getBuiltinModule('node:fs');
    const before = readdirSync('/proc/self/fd').length;
    const { addon, busyPoll, abstractNames, abstractLength } = net.features();
    say(
      JSON.stringify([
        addon,
        busyPoll,
        abstractNames,
        ['exact', 'padded'].includes(abstractLength),
      ]),
    );
    say(JSON.stringify(Object.values(net.stats()).slice(1)));
    say(readdirSync('/proc/self/fd').length - before);
  });
  assertQuiet(ending);
  const available = '{"available":true}';
  assert.deepEqual(ending.lines, [
    `[${available},${available},${available},true]`,
    '[0,0,0,0,0,0,0,0,0]',
    '0',
  ]);
});

test('stats() counts what this thread does, and never less than before', async (t) => {
  const ending = await alone(t, {}, ({ net, address, say }) => {
    const seen = [net.stats()];
    const server = net.createServer((peer) => peer.pipe(peer));
    server.listen(address, () => {
      const client = net.connect(address);
      client.write('12345');
      client.on('data', () => {
        seen.push(net.stats());
        if (seen.length < 4) client.write('12345');
        else client.end();
      });
      client.on('close', () => {
        server.close();
        seen.push(net.stats());
        say(JSON.stringify(seen));
      });
    });
  });
  assertQuiet(ending);
  const seen = JSON.parse(ending.lines[0] ?? '') as afunix.Stats[];
  assert.equal(seen.length, 5);
  const last = seen.at(-1);
  assert.ok(last !== undefined);
  const { connected, accepted, bytesRead, bytesWritten } = last;
  const counted = { connected: 1, accepted: 1, bytesRead: 30, bytesWritten: 30 };
  assert.deepEqual({ connected, accepted, bytesRead, bytesWritten }, counted);
  for (const [index, stats] of seen.entries()) {
    const before = seen[index - 1];
    for (const [name, value] of Object.entries(stats)) {
      if (name === 'engine') continue;
      assert.ok(Number.isInteger(value) && value >= 0, `${name} is ${String(value)}`);
      const earlier = before?.[name as keyof afunix.Stats];
      if (earlier !== undefined) assert.ok(value >= earlier, `${name} went back`);
    }
  }
  for (const name of ['wakeups', 'completions', 'flushes', 'syscalls'] as const) {
    assert.ok(last[name] > 0, name);
  }
});
