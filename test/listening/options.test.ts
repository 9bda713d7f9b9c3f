/** Options that cannot be followed are refused, with a reason, and never ignored. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import net, { type ServerListenOptions } from 'afunix';
import { RawSocket } from 'afunix/raw';
import { runLone } from '../helpers/lone-process';
import { freshDirectory, freshPath } from '../helpers/socket-paths';
import { kinds, makeServer } from './support';

const wrong: readonly [option: string, value: unknown, code: string, message: RegExp][] = [
  [
    'mode',
    600,
    'ERR_OUT_OF_RANGE',
    />= 0 && <= 0o777 \(permissions are octal: 0o600\?\)\. Received 600/,
  ],
  ['mode', 0o1000, 'ERR_OUT_OF_RANGE', /<= 0o777/],
  ['mode', -1, 'ERR_OUT_OF_RANGE', /"options\.mode"/],
  ['mode', 1.5, 'ERR_OUT_OF_RANGE', /an integer/],
  [
    'mode',
    '0600',
    'ERR_INVALID_ARG_TYPE',
    /of type number, such as 0o600\. Received type string \('0600'\)/,
  ],
  ['mode', null, 'ERR_INVALID_ARG_TYPE', /"options\.mode"/],
  ['uid', -1, 'ERR_OUT_OF_RANGE', /"options\.uid"/],
  ['uid', 2 ** 32 - 1, 'ERR_OUT_OF_RANGE', /<= 4294967294/],
  ['gid', NaN, 'ERR_OUT_OF_RANGE', /"options\.gid"/],
  [
    'gid',
    '1000',
    'ERR_INVALID_ARG_VALUE',
    /options\.gid' must be the name of a group, or a number/,
  ],
  ['uid', '-1', 'ERR_INVALID_ARG_VALUE', /options\.uid' must be the name of a user, or a number/],
  ['uid', '', 'ERR_INVALID_ARG_VALUE', /options\.uid'/],
  ['uid', 'root\0', 'ERR_INVALID_ARG_VALUE', /options\.uid'/],
  ['uid', true, 'ERR_INVALID_ARG_TYPE', /of type number or string/],
  ['gid', null, 'ERR_INVALID_ARG_TYPE', /"options\.gid"/],
  ['gid', {}, 'ERR_INVALID_ARG_TYPE', /"options\.gid"/],
  ['stale', 'remove', 'ERR_INVALID_ARG_VALUE', /must be one of: 'error', 'probe', 'replace'/],
  ['stale', true, 'ERR_INVALID_ARG_VALUE', /options\.stale/],
  ['checkDirectory', 'no', 'ERR_INVALID_ARG_TYPE', /of type boolean/],
];

const all: ServerListenOptions[] = [
  { mode: 0o600 },
  { uid: 0 },
  { gid: 0 },
  { stale: 'probe' },
  { checkDirectory: false },
];

for (const [kind, make] of Object.entries(kinds)) {
  for (const [option, value, code, message] of wrong) {
    test(`${kind}: ${option}: ${String(value)} is refused`, (t) => {
      const address = freshPath(t);
      const server = makeServer(t, make);
      assert.throws(() => server.listen({ path: address, [option]: value }), { code, message });
      assert.equal(existsSync(address), false);
      // And nothing has happened to the server.
      server.listen(address);
      assert.ok(server.listening);
    });
  }

  test(`${kind}: with an abstract name they would protect nothing`, (t) => {
    for (const options of all) {
      const [name] = Object.keys(options);
      assert.throws(() => makeServer(t, make).listen({ path: '\0afunix-test', ...options }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: new RegExp(
          `options\\.${name}' protects nothing with the abstract name '@afunix-test'.* authorize`,
        ),
      });
    }
  });

  test(`${kind}: with a descriptor there is nothing left to decide`, (t) => {
    for (const options of all) {
      const socket = RawSocket.socket(kind as 'stream' | 'seqpacket');
      socket.bind(freshPath(t));
      assert.throws(() => makeServer(t, make).listen({ fd: socket.fd, ...options }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /cannot be combined with fd/,
      });
      // It is still its owner's.
      socket.listen();
      socket.close();
    }
  });

  test(`${kind}: a port, or nothing, has no socket file`, (t) => {
    for (const options of all) {
      for (const where of [{ port: 0 }, {}, { host: 'localhost', port: 0 }]) {
        assert.throws(() => makeServer(t, make).listen({ ...where, ...options }), {
          code: 'ERR_INVALID_ARG_VALUE',
          message: /is about the socket file, and there is none without a path/,
        });
      }
    }
  });
}

test('mode goes with neither readableAll nor writableAll', (t) => {
  for (const wider of [{ readableAll: true }, { writableAll: true }]) {
    assert.throws(() => makeServer(t).listen({ path: freshPath(t), mode: 0o600, ...wider }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /is the whole mode/,
    });
  }
});

test('undefined is as good as nothing', (t) => {
  const server = makeServer(t);
  const before = process.umask(0o022);
  const address = freshPath(t);
  server.listen({ path: address, mode: undefined, uid: undefined, stale: undefined });
  process.umask(before);
  server.close();
  const tcp = net.createServer().listen({ port: 0, mode: undefined });
  tcp.close();
});

test('what node:net would listen on is refused with any of them, authorize too', (t) => {
  const refused: object[] = [
    { port: 0, authorize: () => true },
    { fd: 0, authorize: () => true },
  ];
  for (const options of refused) {
    assert.throws(() => makeServer(t).listen(options as ServerListenOptions), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /authorize/,
    });
  }
});

test('without the addon they are refused, and say why', async (t) => {
  const directory = freshDirectory(t);
  const lines = await runLone(
    t,
    { address: path.join(directory, 's') },
    ({ net, require, parameters: { address }, say }) => {
      const nodeNet = require('node:net') as typeof import('node:net');
      for (const options of [
        { mode: 0o600 },
        { uid: 0 },
        { stale: 'probe' as const },
        { authorize: () => true },
      ]) {
        for (const server of [net.createServer(), new net.Server(), net.Server()]) {
          try {
            server.listen({ path: address, ...options });
            say('listens');
          } catch (error) {
            const { code, message } = error as NodeJS.ErrnoException;
            say(`${code} ${/needs the addon: .*missing\.node/.test(message)}`);
          }
        }
      }
      const server = net.createServer((socket) => socket.end('hello'));
      say(server instanceof nodeNet.Server && server instanceof net.Server);
      say(new nodeNet.Server() instanceof net.Server);
      server.listen(address, () => {
        net
          .connect(address)
          .on('data', (chunk) => say(chunk))
          .on('close', () => server.close());
      });
    },
    { env: { AFUNIX_ADDON: path.join(directory, 'missing.node') } },
  );
  assert.deepEqual(lines, [
    ...Array<string>(12).fill('ERR_INVALID_ARG_VALUE true'),
    'true',
    'true',
    'hello',
  ]);
});

test('a cluster worker refuses what its primary would not do, and follows it with exclusive', (t) => {
  const directory = freshDirectory(t);
  const program = path.join(directory, 'program.js');
  const afunix = JSON.stringify(path.dirname(require.resolve('afunix/package.json')));
  writeFileSync(
    program,
    `
      const cluster = require('node:cluster');
      const fs = require('node:fs');
      const net = require(${afunix});
      const path = process.argv[2];
      if (cluster.isPrimary) {
        cluster.fork().on('message', (line) => console.log(line)).on('exit', () => process.exit());
      } else {
        for (const options of [{ mode: 0o600 }, { stale: 'probe' }, { authorize: () => true }]) {
          try {
            net.createServer().listen({ path, ...options });
            process.send('listens');
          } catch (error) {
            process.send(error.code + ' ' + /cluster worker.*exclusive: true/.test(error.message));
          }
        }
        process.umask(0);
        const server = net.createServer().listen({ path, mode: 0o640, exclusive: true }, () => {
          process.send((fs.statSync(path).mode & 0o777).toString(8));
          server.close(() => cluster.worker.disconnect());
        });
      }
    `,
  );
  const { stdout, stderr } = spawnSync(process.execPath, [program, path.join(directory, 's')], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  assert.equal(stderr, '');
  assert.equal(stdout, `${'ERR_INVALID_ARG_VALUE true\n'.repeat(3)}640\n`);
});
