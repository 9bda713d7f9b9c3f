/** What becomes of the file, the lock and the descriptors when servers, threads and processes end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { receive, transfer, type Server } from 'afunix';
import { leavesNothingOpen } from '../helpers/descriptors';
import { runLone, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import { closed, greeting, kinds, listening, makeServer } from './support';

const choices = ['error', 'probe', 'replace'] as const;

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind}: a hundred starts leave no descriptor open`, async (t) => {
    const path = freshPath(t);
    for (const stale of choices) {
      await leavesNothingOpen(async () => {
        const server = make().listen({ path, stale });
        await once(server, 'listening');
        const refused = make().listen({ path, stale: 'error' });
        await once(refused, 'error');
        await closed(server);
      }, 100);
    }
    assert.deepEqual(readdirSync(dirname(path)), []);
  });
}

for (const stale of choices) {
  test(`${stale}: a file that took the place of ours is left alone at close`, async (t) => {
    const path = freshPath(t);
    const server = await listening(t, { path, stale });
    unlinkSync(path);
    writeFileSync(path, 'theirs');
    await closed(server);
    assert.ok(existsSync(path));
  });

  test(`${stale}: ours that was moved is not looked for, and a second name of it stays`, async (t) => {
    const path = freshPath(t);
    const server = await listening(t, { path, stale });
    linkSync(path, `${path}-link`);
    renameSync(path, `${path}-moved`);
    await closed(server);
    assert.deepEqual(readdirSync(dirname(path)).sort(), ['s-link', 's-moved']);
  });

  test(`${stale}: a directory that is gone at close is no matter`, async (t) => {
    const path = freshPath(t);
    const server = await listening(t, { path, stale });
    rmSync(dirname(path), { recursive: true });
    await closed(server);
  });

  test(`${stale}: process.exit() and an uncaught exception remove the file, a signal leaves it for the next`, async (t) => {
    const path = freshPath(t);
    for (const end of ['exit', 'throw', 'SIGTERM', 'SIGKILL']) {
      const child = startLone(
        t,
        { path, stale, end },
        ({ net, parameters: { path, stale, end }, say }) => {
          net.createServer().listen({ path, stale }, () => {
            say(`listening`);
            if (end === 'exit') process.exit(3);
            if (end === 'throw') throw new Error('on purpose');
          });
        },
      );
      await child.said('listening');
      if (end.startsWith('SIG')) child.child.kill(end as NodeJS.Signals);
      await child.ended;
      // As in net: a signal that nobody handles ends the process on the spot.
      assert.deepEqual(readdirSync(dirname(path)), end.startsWith('SIG') ? ['s'] : [], end);
      if (existsSync(path)) await closed(await listening(t, { path, stale: 'probe' }));
    }
  });
}

test('a worker that is terminated takes its file along, and lets go of the lock', async (t) => {
  const path = freshPath(t);
  const afunix = require.resolve('afunix');
  for (const stale of choices) {
    const worker = new Worker(
      `const { workerData: { afunix, path, stale }, parentPort } = require('node:worker_threads');
       require(afunix).createServer().listen({ path, stale }, () => parentPort.postMessage('listening'));`,
      { eval: true, workerData: { afunix, path, stale } },
    );
    await once(worker, 'message');
    assert.deepEqual(readdirSync(dirname(path)), ['s']);
    await worker.terminate();
    assert.deepEqual(readdirSync(dirname(path)), []);
  }
});

test('threads that start at once: one listens', async (t) => {
  const path = freshPath(t);
  const afunix = require.resolve('afunix');
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const worker = new Worker(
        `const { workerData: { afunix, path, flag }, parentPort } = require('node:worker_threads');
         const server = require(afunix).createServer();
         Atomics.add(flag, 0, 1);
         while (Atomics.load(flag, 0) < 8);
         server.on('error', ({ code }) => parentPort.postMessage(code));
         server.listen({ path, stale: 'probe' }, () => parentPort.postMessage('listening'));`,
        { eval: true, workerData: { afunix, path, flag } },
      );
      t.after(() => worker.terminate());
      const [outcome] = (await once(worker, 'message')) as [string];
      return outcome;
    }),
  );
  assert.deepEqual(outcomes.sort(), [...Array<string>(7).fill('EADDRINUSE'), 'listening']);
});

test('a transferred listener listens on; the file goes with the one that made it', async (t) => {
  const path = freshPath(t);
  const server = (await listening(t, { path, stale: 'replace' })) as Server;
  const copy = receive(transfer(server), {}, (socket) => socket.end('copy'));
  t.after(() => copy.close());
  await once(copy, 'listening');
  copy.close();
  assert.ok(existsSync(path));
  await once(copy, 'close');
  assert.equal(await greeting(path), 'hello');
  const other = receive(transfer(server), {}, (socket) => socket.end('copy'));
  await once(other, 'listening');
  await closed(server);
  assert.equal(existsSync(path), false);
  await new Promise((resolve) => other.close(resolve));
});

test('with a full descriptor table listen() fails, leaves everything as it was, and works later', async (t) => {
  const path = freshPath(t);
  const lines = await runLone(
    t,
    { path },
    async ({ net, require, parameters: { path }, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const nodePath = require('node:path') as typeof import('node:path');
      const start = (stale: 'error' | 'probe' | 'replace'): Promise<string> =>
        new Promise((resolve) => {
          const server = net.createServer();
          server.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? ''));
          server.listen({ path, stale }, () => server.close(() => resolve('listened')));
        });
      say(await start('replace'));
      // Whatever the check of the directory loads is loaded.
      const fillers: number[] = [];
      try {
        for (;;) fillers.push(fs.openSync('/dev/null', 'r'));
      } catch {
        // Full.
      }
      const outcomes = new Set<string>();
      for (let free = 0; free < 8; free += 1) {
        for (const stale of ['error', 'probe', 'replace'] as const)
          outcomes.add(await start(stale));
        fs.closeSync(fillers.pop() ?? -1);
      }
      say([...outcomes].sort());
      say(JSON.stringify(fs.readdirSync(nodePath.dirname(path))));
      say(await start('probe'));
    },
    { descriptors: 60 },
  );
  assert.deepEqual(lines, ['listened', 'EMFILE,listened', '[]', 'listened']);
});

test('an aborted signal closes it, file and all', async (t) => {
  const path = freshPath(t);
  for (const stale of choices) {
    const controller = new AbortController();
    const server = makeServer(t).listen({ path, stale, signal: controller.signal });
    await once(server, 'listening');
    controller.abort();
    await once(server, 'close');
    assert.equal(existsSync(path), false);
  }
});

test('without permission to lock at the end the file is removed all the same', async (t) => {
  const path = freshPath(t);
  const server = await listening(t, { path, stale: 'probe' });
  writeFileSync(`${path}.lock`, '');
  chmodSync(`${path}.lock`, 0);
  await closed(server);
  assert.equal(existsSync(path), false);
});

test('an unreferenced server that finishes does not hold the process', async (t) => {
  const path = freshPath(t);
  const lines = await runLone(t, { path }, ({ net, parameters: { path }, say }) => {
    const server = net.createServer().unref();
    server.listen({ path, stale: 'replace' });
    server.close();
    say('done');
  });
  assert.deepEqual(lines, ['done']);
});
