/** A process that has no descriptor left: it says so, refuses at once, and recovers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import net from 'afunix';
import { address, happens, root } from './support';

interface Starved {
  /** The next line that it says. */
  said(): Promise<string>;
  /** Tells it to go on. */
  goOn(): void;
}

/**
 * Runs a program that may have 60 descriptors. It finds `afunix`, `address`, `say(text)`, `told()`, which
 * resolves when it shall go on, and `takeAll()`, which takes all descriptors and returns how to give one back.
 */
function starve(t: TestContext, address: string, program: string): Starved {
  const source = `
    const afunix = require('afunix');
    const fs = require('node:fs');
    const [, address] = process.argv;
    const say = (text) => fs.writeSync(1, text + '\\n');
    const told = () => new Promise((resolve) => process.stdin.once('data', resolve));
    const takeAll = () => {
      const taken = [];
      try {
        for (;;) taken.push(fs.openSync('/dev/null'));
      } catch (error) {
        if (error.code !== 'EMFILE') throw error;
      }
      return () => fs.closeSync(taken.pop());
    };
    (async () => { ${program} })().catch((error) => say('thrown ' + (error.code ?? error.message)));
  `;
  const shell = ['-c', 'ulimit -n 60; exec "$0" "$@"'];
  const child = spawn('sh', [...shell, process.execPath, '-e', source, address], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async said() {
      const next = await lines.next();
      return next.done === true ? 'the end' : next.value;
    },
    goOn: () => void child.stdin.write('\n'),
  };
}

function ended(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.on('error', () => {});
    socket.once('close', () => resolve(true));
    socket.resume();
  });
}

test('a server that cannot accept closes the connection and says so in drop', async (t) => {
  const to = address(t);
  const server = starve(
    t,
    to,
    `
      process.stdin.resume();
      const server = afunix.createServer((socket) => socket.end('served'));
      server.on('drop', (error) => say('drop ' + error.message));
      server.on('error', (error) => say('error ' + error.message));
      server.listen(address);
      const giveBack = takeAll();
      say('ready');
      await told();
      for (let i = 0; i < 5; i += 1) giveBack();
      say('recovered');
    `,
  );
  assert.equal(await server.said(), 'ready');
  const refused = 3;
  for (let i = 0; i < refused; i += 1) {
    const socket = net.connect(to);
    assert.equal(await ended(socket), true);
    assert.equal(socket.bytesRead, 0);
    assert.equal(await server.said(), `drop accept EMFILE ${to}`);
  }
  server.goOn();
  // One refusal is told once: the next thing that it says is that it goes on.
  assert.equal(await server.said(), 'recovered');
  const socket = net.connect(to);
  await ended(socket);
  assert.equal(socket.bytesRead, 'served'.length);
});

for (const [what, action] of [
  ['connect()', 'afunix.connect(address)'],
  ['listen()', 'afunix.createServer().listen(address)'],
] as const) {
  test(`the first ${what} of a thread without a descriptor is an error event`, async (t) => {
    const starved = starve(
      t,
      address(t),
      `
        const giveBack = takeAll();
        ${action}.on('error', (error) => {
          giveBack();
          say('event ' + error.code);
        });
      `,
    );
    assert.equal(await starved.said(), 'event EMFILE');
  });
}

test('a connection without a descriptor is an error event with a hint', async (t) => {
  const to = address(t);
  const server = net.createServer((socket) => socket.end()).listen(to);
  t.after(() => server.close());
  await happens(server, 'listening');
  const starved = starve(
    t,
    to,
    `
      // The engine needs descriptors of its own.
      afunix.socketpair().forEach((socket) => socket.destroy());
      await new Promise((resolve) => setImmediate(resolve));
      const giveBack = takeAll();
      afunix.connect(address).on('error', (error) => {
        giveBack();
        say([error.message, error.hint].join(', '));
        const [first] = [1].map(() => afunix.connect(address));
        first.on('close', () => say('and connected later')).resume();
      });
    `,
  );
  const hint = 'this process has no descriptor left (see `ulimit -n`)';
  assert.equal(await starved.said(), `connect EMFILE ${to}, ${hint}`);
  assert.equal(await starved.said(), 'and connected later');
});
