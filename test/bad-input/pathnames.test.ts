/** Paths that lead nowhere: too long, with a NUL, missing, of another kind, forbidden. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Net, scenario, type Stage } from '../conformance/scenario';
import { assertHint, connectFailure, type Failure, listenFailure } from '../helpers/bad-input';
import { leavesNothingOpen } from '../helpers/descriptors';
import { startPartner, startProgram } from '../helpers/partner';
import { happens, listen } from '../helpers/sockets';

const limit = 107;
const major = Number(process.versions.node.split('.')[0]);

/** From Node 24 on, net tells a name that is too long or holds a NUL; before, it cuts it off. */
const netTells = (stage: Stage): boolean => stage.implementation === 'afunix' || major >= 24;

/** An address of exactly this many bytes, not counting the NUL of an abstract one. */
function ofLength(address: string, bytes: number): string {
  const missing = bytes - Buffer.byteLength(address) + (address.startsWith('\0') ? 1 : 0);
  assert.ok(missing > 0);
  return address + 'x'.repeat(missing);
}

function assertSystemError(error: Failure, code: string, syscall: string, address: string): void {
  assert.equal(error.code, code);
  assert.equal(error.syscall, syscall);
  assert.equal(error.address, address);
  assert.ok(typeof error.errno === 'number' && error.errno < 0);
  assert.ok(error.message.startsWith(`${syscall} ${code}`), error.message);
  assert.ok(error.message.includes(address), error.message);
}

for (const [what, make] of [
  ['a pathname', (stage: Stage) => stage.path()],
  ['an abstract name', (stage: Stage) => stage.abstract()],
] as const) {
  for (const bytes of [limit + 2, 125, 1000, 100_000]) {
    scenario(`connecting to ${what} of ${bytes} bytes`, async (stage) => {
      if (!netTells(stage)) return;
      const address = ofLength(make(stage), bytes);
      const error = await connectFailure(stage, address);
      assertSystemError(error, 'EINVAL', 'connect', address);
      assertHint(stage, error, ...(bytes <= 1000 ? [address.replace('\0', '')] : []), bytes, limit);
    });

    scenario(`listening on ${what} of ${bytes} bytes`, async (stage) => {
      if (!netTells(stage)) return;
      const address = ofLength(make(stage), bytes);
      const error = await listenFailure(stage, address);
      assertSystemError(error, 'EINVAL', 'listen', address);
      assertHint(stage, error, ...(bytes <= 1000 ? [address.replace('\0', '')] : []), bytes, limit);
      if (bytes < 4000) assert.equal(existsSync(address.slice(0, 107)), false);
    });
  }
}

scenario(
  'a pathname of 108 bytes, for which there is room only without the NUL at its end',
  async (stage) => {
    if (stage.implementation !== 'afunix') return;
    const address = ofLength(stage.path(), limit + 1);
    for (const error of [
      await connectFailure(stage, address),
      await listenFailure(stage, address),
    ]) {
      assert.equal(error.code, 'EINVAL');
      assertHint(stage, error, address, limit + 1, limit);
    }
  },
);

scenario('it is bytes that count, not characters', async (stage) => {
  if (!netTells(stage)) return;
  const path = stage.path();
  // Three bytes each in UTF-8: fewer than 107 characters, more than 107 bytes.
  const address = path + '世'.repeat(40);
  assert.ok(address.length < limit && Buffer.byteLength(address) > limit + 1);
  const error = await connectFailure(stage, address);
  assertSystemError(error, 'EINVAL', 'connect', address);
  assertHint(stage, error, address, Buffer.byteLength(address), limit);
});

for (const [what, make] of [
  ['a pathname', (stage: Stage) => stage.path()],
  ['an abstract name', (stage: Stage) => stage.abstract()],
] as const) {
  for (const bytes of [limit - 1, limit]) {
    scenario(`${what} of ${bytes} bytes is not too long`, async (stage) => {
      const address = ofLength(make(stage), bytes);
      const server = await listen(stage, address, {}, (peer) => peer.end());
      assert.equal(server.address(), address);
      if (what === 'a pathname') assert.equal(statSync(address).isSocket(), true);
      const client = stage.net.connect(address);
      client.resume();
      assert.deepEqual(await happens(client, 'close'), [false]);
    });
  }
}

scenario('a NUL inside a pathname', async (stage) => {
  if (stage.implementation !== 'afunix' && major < 22) return;
  const path = stage.path();
  const address = `${path}\0hidden`;
  const connecting = await connectFailure(stage, address);
  assertSystemError(connecting, 'EINVAL', 'connect', address);
  assertHint(stage, connecting, 'NUL');
  const listening = await listenFailure(stage, address);
  assertSystemError(listening, 'EINVAL', 'listen', address);
  assertHint(stage, listening, 'NUL');
  assert.equal(existsSync(path), false);
});

scenario('a NUL at the end of a pathname', async (stage) => {
  if (stage.implementation !== 'afunix' && major < 22) return;
  const path = stage.path();
  const error = await listenFailure(stage, `${path}\0`);
  assert.equal(error.code, 'EINVAL');
  assertHint(stage, error, 'NUL');
  assert.equal(existsSync(path), false);
});

scenario('a missing file', async (stage) => {
  const address = stage.path();
  const error = await connectFailure(stage, address);
  stage.trace('error', error);
  assertSystemError(error, 'ENOENT', 'connect', address);
  assertHint(stage, error, address);
});

scenario('a missing directory', async (stage) => {
  const address = `${stage.path()}.missing/s`;
  const connecting = await connectFailure(stage, address);
  stage.trace('connect', connecting);
  assertSystemError(connecting, 'ENOENT', 'connect', address);
  assertHint(stage, connecting, dirname(address), 'directory');
  const listening = await listenFailure(stage, address);
  stage.trace('listen', listening);
  assertSystemError(listening, 'EACCES', 'listen', address);
  assertHint(stage, listening, dirname(address), 'directory');
  assert.doesNotMatch(String(listening.hint), /permission/);
});

const notSockets: Record<string, { prepare: (path: string) => void; code: string }> = {
  'a plain file': { prepare: (path) => writeFileSync(path, ''), code: 'ECONNREFUSED' },
  'a directory': { prepare: (path) => mkdirSync(path), code: 'ECONNREFUSED' },
  'a link to a plain file': {
    prepare: (path) => {
      writeFileSync(`${path}.target`, '');
      symlinkSync(`${path}.target`, path);
    },
    code: 'ECONNREFUSED',
  },
  'a link to itself': { prepare: (path) => symlinkSync(path, path), code: 'ELOOP' },
  'a link to nowhere': { prepare: (path) => symlinkSync(`${path}.nowhere`, path), code: 'ENOENT' },
};

for (const [what, { prepare, code }] of Object.entries(notSockets)) {
  scenario(`connecting to ${what}, and listening in its place`, async (stage) => {
    const address = stage.path();
    prepare(address);
    const connecting = await connectFailure(stage, address);
    stage.trace('connect', connecting);
    assertSystemError(connecting, code, 'connect', address);
    // ELOOP says all there is to say.
    if (code !== 'ELOOP') assertHint(stage, connecting, address);
    const listening = await listenFailure(stage, address);
    stage.trace('listen', listening);
    assertSystemError(listening, 'EADDRINUSE', 'listen', address);
    assertHint(stage, listening, address);
  });
}

scenario('connecting to a plain file: the hint says that it is no socket', async (stage) => {
  const address = stage.path();
  writeFileSync(address, '');
  assertHint(stage, await connectFailure(stage, address), 'not a socket');
});

scenario('a path that leads through a plain file', async (stage) => {
  const file = stage.path();
  writeFileSync(file, '');
  const address = `${file}/s`;
  const connecting = await connectFailure(stage, address);
  stage.trace('connect', connecting);
  assertSystemError(connecting, 'ENOTDIR', 'connect', address);
  assertHint(stage, connecting, 'not a directory');
  const listening = await listenFailure(stage, address);
  stage.trace('listen', listening);
  assertSystemError(listening, 'ENOTDIR', 'listen', address);
  assertHint(stage, listening, 'not a directory');
});

scenario('a socket that a killed server left behind', async (stage) => {
  const address = stage.path();
  const partner = startProgram(stage, [
    'python3',
    '-c',
    'import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)',
    address,
  ]);
  await partner.ended;
  const connecting = await connectFailure(stage, address);
  stage.trace('connect', connecting);
  assertSystemError(connecting, 'ECONNREFUSED', 'connect', address);
  assertHint(stage, connecting, address, 'nobody listens');
  const listening = await listenFailure(stage, address);
  stage.trace('listen', listening);
  assertSystemError(listening, 'EADDRINUSE', 'listen', address);
  assertHint(stage, listening, address);
});

scenario('an abstract name on which nobody listens', async (stage) => {
  const address = stage.abstract();
  const error = await connectFailure(stage, address);
  stage.trace('connect', error);
  assertSystemError(error, 'ECONNREFUSED', 'connect', address);
  assertHint(stage, error, address.slice(1), 'nobody listens');
});

interface Forbidden {
  readonly address: string;
  readonly verb: 'connect' | 'listen';
}

/** What a user without rights is told; root has all rights, so that the child becomes nobody first. */
async function toldWithoutRights(stage: Stage, parameters: Forbidden): Promise<Failure> {
  const partner = startPartner(stage, parameters, ({ net, parameters, tell }) => {
    const tellError = (
      error: NodeJS.ErrnoException & { address?: string; hint?: unknown },
    ): void => {
      const { code, errno, syscall, address, message, hint } = error;
      tell('error', { code, errno, syscall, address, message, hint });
      process.exit();
    };
    const proceed = (): void => {
      if (process.getuid?.() === 0) {
        process.setgroups?.([]);
        process.setgid?.(65_534);
        process.setuid?.(65_534);
      }
      const object = parameters.verb === 'connect' ? new net.Socket() : net.createServer();
      object.on('error', tellError);
      object.on(parameters.verb === 'connect' ? 'connect' : 'listening', () =>
        tell('error', { code: 'none' }),
      );
      if (object instanceof net.Server) object.listen(parameters.address);
      else object.connect(parameters.address);
    };
    // Whatever is loaded on first use is loaded while it may still be read.
    const first = net
      .createServer()
      .listen(`\0afunix-test-rights-${process.pid}`, () => first.close(proceed));
  });
  const [error] = await partner.told('error');
  return error as Failure;
}

scenario('a socket without permission to write it', async (stage) => {
  const address = stage.path();
  chmodSync(dirname(address), 0o755);
  await listen(stage, address);
  chmodSync(address, process.getuid?.() === 0 ? 0o755 : 0o000);
  const error = await toldWithoutRights(stage, { address, verb: 'connect' });
  stage.trace('error', error.code, error.errno, error.syscall, error.message);
  assertSystemError(error, 'EACCES', 'connect', address);
  assertHint(stage, error, address, 'permission');
});

scenario('a socket in a directory that may not be searched', async (stage) => {
  const directory = stage.path();
  mkdirSync(directory);
  chmodSync(dirname(directory), 0o755);
  const address = `${directory}/s`;
  await listen(stage, address);
  chmodSync(address, 0o777);
  chmodSync(directory, 0o600);
  stage.defer(() => chmodSync(directory, 0o700));
  const error = await toldWithoutRights(stage, { address, verb: 'connect' });
  stage.trace('error', error.code, error.errno, error.syscall, error.message);
  assertSystemError(error, 'EACCES', 'connect', address);
  assertHint(stage, error, address, 'permission');
});

scenario('a directory in which one may not create', async (stage) => {
  const address = stage.path();
  chmodSync(dirname(address), 0o555);
  stage.defer(() => chmodSync(dirname(address), 0o700));
  const error = await toldWithoutRights(stage, { address, verb: 'listen' });
  stage.trace('error', error.code, error.errno, error.syscall, error.message);
  assertSystemError(error, 'EACCES', 'listen', address);
  assertHint(stage, error, dirname(address), 'permission');
  assert.equal(existsSync(address), false);
});

/** Nothing is left open by any of these, however often. */
const repeated: Record<string, (stage: Stage) => () => Promise<unknown>> = {
  'a pathname that is too long': (stage) => {
    const address = ofLength(stage.path(), 200);
    return async () => {
      await connectFailure(stage, address);
      await listenFailure(stage, address);
    };
  },
  'a missing file': (stage) => {
    const address = stage.path();
    return () => connectFailure(stage, address);
  },
  'a missing directory': (stage) => {
    const address = `${stage.path()}.missing/s`;
    return async () => {
      await connectFailure(stage, address);
      await listenFailure(stage, address);
    };
  },
  'a plain file': (stage) => {
    const address = stage.path();
    writeFileSync(address, '');
    return async () => {
      await connectFailure(stage, address);
      await listenFailure(stage, address);
    };
  },
  'an abstract name nobody listens on': (stage) => {
    const address = stage.abstract();
    return () => connectFailure(stage, address);
  },
};

for (const [what, prepare] of Object.entries(repeated)) {
  scenario(`${what}, 200 times: nothing stays open`, async (stage) => {
    if (what.includes('too long') && !netTells(stage)) return;
    const once = prepare(stage);
    await leavesNothingOpen(once);
  });
}

scenario('a socket that failed once connects as if nothing had been', async (stage) => {
  const address = stage.path();
  const socket = new stage.net.Socket();
  const failed = happens(socket, 'close');
  socket.on('error', (error) => stage.trace('socket', error));
  socket.connect(address);
  await failed;
  await listen(stage, address, {}, (peer) => peer.end('hello'));
  const data = happens(socket, 'data');
  const closed = happens(socket, 'close');
  socket.connect(address);
  socket.resume();
  assert.equal(String((await data)[0]), 'hello');
  await closed;
});

scenario('what only looks like an address of another kind is a pathname', async (stage) => {
  const { net }: { net: Net } = stage;
  const home = process.cwd();
  process.chdir(dirname(stage.path()));
  stage.defer(() => process.chdir(home));
  for (const name of [
    'unix:s',
    '@s',
    'localhost',
    '127.0.0.1:80',
    '[::1]:80',
    'file:s',
    '0x',
    '1e',
  ]) {
    const server = net.createServer((peer) => peer.end());
    server.listen(name);
    await happens(server, 'listening');
    stage.trace('server', name, server.address(), existsSync(name));
    await new Promise((resolve) => server.close(resolve));
  }
});
