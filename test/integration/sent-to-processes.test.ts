/** Servers and sockets that go to another process by `child.send()`: both processes have their part. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runRegistered } from './registered';

/** Connections that are made while one of the two is busy. */
const CLIENTS = 20;

/** In both processes. `busyUntil` keeps it from everything else until the file is there. */
const SHARED = `
const fs = require('node:fs');
const answerOf = async (path) => {
  let text = '';
  for await (const chunk of net.connect(path)) text += chunk;
  return text;
};
/** One after the other: each finds both processes waiting. */
const ask = async (path) => {
  const answers = [];
  while (answers.length < ${CLIENTS}) answers.push(await answerOf(path));
  return [...new Set(answers)];
};
const busyUntil = (file) => {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let left = 2000; left > 0 && !fs.existsSync(file); left -= 1) Atomics.wait(pause, 0, 0, 10);
  return fs.existsSync(file);
};
`;

const CHILD = `
const net = require('node:net');
${SHARED}
const [, , path, done] = process.argv;
let server;
let answered = 'child';
const answer = (socket) => {
  fs.writeFileSync(done + '.served', '');
  socket.end(answered);
};
process.on('message', async (message, handle) => {
  if (message === 'server' || message === 'http server') {
    if (message !== 'server') answered = 'HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nchild';
    server = handle.on('connection', answer);
    process.send('listening');
  } else if (message === 'ask') {
    const answers = await ask(path);
    fs.writeFileSync(done, '');
    process.send(answers);
  } else if (message === 'be busy') {
    process.send('busy', () => busyUntil(done) && process.send('free'));
  } else if (message === 'socket') {
    process.send(handle === undefined ? 'nothing' : 'a socket');
    handle?.end('sent to the child');
  } else if (message === 'exit') process.exit();
});
`;

/** What the parent's programs begin with. */
const PARENT = `
  ${SHARED}
  const { fork } = require('node:child_process');
  const path = place + '/s', done = place + '/done', file = place + '/child.cjs';
  fs.writeFileSync(file, ${JSON.stringify(CHILD)});
  const child = fork(file, [path, done], { execArgv: EXEC_ARGV });
  const says = async () => (await once(child, 'message'))[0];
`;

/**
 * All are in the backlog when somebody accepts, and the parent is held up by the first that it serves: what it has taken besides, nobody
 * can serve before it goes on.
 */
const DIVIDED = `
  child.send('be busy');
  tell(await says());
  fs.rmSync(done + '.served', { force: true });
  server.prependOnceListener('connection', () => {
    fs.writeFileSync(done, '');
    tell(busyUntil(done + '.served'));
  });
  const answers = await Promise.all(Array.from({ length: ${CLIENTS} }, () => answerOf(path)));
  tell([...new Set(answers)].sort());
  tell(await says());
  fs.unlinkSync(done);
`;
const TOLD_DIVIDED = ['busy', true, ['child', 'parent'], 'free'];

const SENT = `
  child.send('server', server);
  tell(await says());
  ${DIVIDED}
  // Whatever it was doing when it was asked, from now on it does nothing else.
  child.send('ask');
  tell(busyUntil(done));
  tell(await says());
  fs.unlinkSync(done);
  child.send('be busy');
  tell(await says());
  tell(await ask(path));
  fs.writeFileSync(done, '');
  tell(await says());
  // The child goes on alone; the file goes with the server that made it.
  server.close();
  await once(server, 'close');
  tell(fs.existsSync(path));
  child.send('exit');
  await once(child, 'exit');
`;
const TOLD = ['listening', ...TOLD_DIVIDED, true, ['child'], 'busy', ['parent'], 'free', false];

async function told(t: TestContext, program: string, loaded: boolean): Promise<readonly unknown[]> {
  const execArgv = loaded ? 'process.execArgv' : '[]';
  const outcome = await runRegistered(t, program.replaceAll('EXEC_ARGV', execArgv));
  assert.equal(outcome.stderr, '');
  assert.equal(outcome.code, 0);
  return outcome.told;
}

for (const loaded of [true, false]) {
  const where = loaded ? 'in both processes' : 'in the parent only';
  test(`a server that was sent is served by whoever is free: afunix/register ${where}`, async (t) => {
    const program = `${PARENT}
      const server = net.createServer((socket) => socket.end('parent'));
      await once(server.listen(path), 'listening');
      tell(globalThis[Symbol.for('afunix.register')].replaced.at(-1));
      ${SENT}`;
    const replaced = 'net.Server[Symbol.hasInstance]';
    assert.deepEqual(await told(t, program, loaded), [replaced, ...TOLD]);
  });
}

test('one that has served many before it is sent, and is sent twice', async (t) => {
  const program = `${PARENT}
    const server = net.createServer((socket) => socket.end('parent'));
    await once(server.listen(path), 'listening');
    tell(await ask(path));
    const other = fork(file, [path, done], { execArgv: EXEC_ARGV });
    other.send('server', server);
    await once(other, 'message');
    other.send('exit');
    await once(other, 'exit');
    ${SENT}`;
  assert.deepEqual(await told(t, program, true), [['parent'], ...TOLD]);
});

test('a child sends its server to its parent', async (t) => {
  const program = `
    ${SHARED}
    const { fork } = require('node:child_process');
    const path = place + '/s', done = place + '/done', file = place + '/child.cjs';
    fs.writeFileSync(file, \`
      const net = require('node:net'), fs = require('node:fs');
      const server = net.createServer((socket) => socket.end('child')).listen('\${path}', () => process.send('server', server));
      const pause = new Int32Array(new SharedArrayBuffer(4));
      process.on('message', () => {
        for (let left = 2000; left > 0 && !fs.existsSync('\${done}'); left -= 1) Atomics.wait(pause, 0, 0, 10);
        process.exit();
      });\`);
    const child = fork(file);
    const [, server] = await once(child, 'message');
    server.on('connection', (socket) => socket.end('parent'));
    child.send('be busy');
    // It is when nothing comes of it any more.
    for (let sure = 0; sure < 3; ) sure = (await answerOf(path)) === 'parent' ? sure + 1 : 0;
    tell(await ask(path));
    fs.writeFileSync(done, '');
    await once(child, 'exit');
    server.close();
  `;
  assert.deepEqual(await told(t, program, true), [['parent']]);
});

test('http servers, of afunix/http and under register, are shared when they are sent', async (t) => {
  for (const listen of ['server.listen(path)', 'require(process.env.HTTP).serve(server, path)']) {
    const program = `${PARENT}
      const server = http.createServer((request, response) => response.end('parent'));
      ${listen};
      if (!server.listening) await once(server, 'listening');
      child.send('http server', server);
      tell(await says());
      {
        const answerOf = (path) => new Promise((resolve, reject) => {
          const request = http.get({ socketPath: path, agent: false }, async (response) => {
            let text = '';
            for await (const chunk of response) text += chunk;
            resolve(text);
          });
          request.on('error', reject);
        });
        ${DIVIDED}
      }
      server.close();
      child.send('exit');
      await once(child, 'exit');`;
    const by = listen.includes('serve') ? 'none' : '--require';
    const outcome = await runRegistered(t, program.replaceAll('EXEC_ARGV', '[]'), {
      by,
      environment: { HTTP: require.resolve('afunix/http') },
    });
    assert.deepEqual(outcome.told, ['listening', ...TOLD_DIVIDED], outcome.stderr);
  }
});

test('a socket is sent when it is connected and has nothing to write; otherwise send() says why not', async (t) => {
  const program = `${PARENT}
    const server = net.createServer({ pauseOnConnect: true });
    await once(server.listen(path), 'listening');
    const attempt = (socket) => {
      try {
        child.send('socket', socket);
        return 'sent';
      } catch (error) {
        return error.code;
      }
    };
    const client = net.connect(path);
    tell(attempt(client));
    const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
    accepted.write(Buffer.alloc(4 << 20));
    tell(attempt(accepted));
    // Both are what they were.
    let bytes = 0;
    for await (const chunk of client) if ((bytes += chunk.length) === 4 << 20) break;
    tell(bytes === 4 << 20);
    accepted.destroy();
    tell([attempt(accepted), await says()]);
    const answered = answerOf(path);
    const [second] = await once(server, 'connection');
    tell([attempt(second), await says()]);
    tell(await answered);
    server.close();
    child.send('exit');
    await once(child, 'exit');
  `;
  assert.deepEqual(await told(t, program, true), [
    'ERR_AFUNIX_CONNECTING',
    'ERR_AFUNIX_PENDING_WRITES',
    true,
    ['sent', 'nothing'],
    ['sent', 'a socket'],
    'sent to the child',
  ]);
});
