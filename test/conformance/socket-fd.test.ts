/** The constructor option fd, with a real descriptor: one end of a pair that a child was born with. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { devNull } from 'node:os';
import { scenario, type Stage } from './scenario';
import { type ChildBody, type Outcome, startChild } from '../helpers/child';
import { happens, pattern, received } from '../helpers/sockets';

interface Born {
  readonly other: Socket;
  readonly outcome: Promise<Outcome>;
}

function bornWith(stage: Stage, body: ChildBody): Born {
  const { other, outcome } = startChild(stage, stage.path(), body, { descriptor: true });
  assert.ok(other !== undefined);
  stage.defer(() => other.destroy());
  return { other, outcome };
}

scenario('a socket made from a descriptor reads, writes, ends and closes', async (stage) => {
  const { other, outcome } = bornWith(stage, ({ net, say }) => {
    const socket = new net.Socket({ fd: 3 });
    for (const event of ['connect', 'end', 'finish', 'error']) socket.on(event, () => say(event));
    socket.on('close', (hadError) => say(`close ${hadError}`));
    socket.on('data', (chunk: Buffer) => {
      say(`data ${chunk.toString()}`);
      socket.end('answer');
    });
  });
  const text = received(other);
  other.write('question');
  assert.equal((await text).toString(), 'answer');
  other.end();
  const result = await outcome;
  stage.trace('child', result);
  assert.deepEqual(result, {
    code: 0,
    signal: null,
    stdout: 'data question\nfinish\nend\nclose false\n',
    stderr: '',
  });
});

scenario(
  'a socket made from a descriptor is open and not pending from the start',
  async (stage) => {
    const { outcome } = bornWith(stage, ({ net, say }) => {
      const socket = new net.Socket({ fd: 3 });
      const { connecting, pending, readyState, destroyed, readable, writable } = socket;
      say(JSON.stringify({ connecting, pending, readyState, destroyed, readable, writable }));
      socket.destroy();
    });
    const result = await outcome;
    stage.trace('child', result);
    assert.deepEqual(JSON.parse(result.stdout), {
      connecting: false,
      pending: false,
      readyState: 'open',
      destroyed: false,
      readable: true,
      writable: true,
    });
  },
);

scenario('a descriptor can be given as a plain number', async (stage) => {
  const { other, outcome } = bornWith(stage, ({ net }) => {
    const socket = Reflect.construct(net.Socket, [3]) as Socket;
    socket.end('from a number');
  });
  assert.equal((await received(other)).toString(), 'from a number');
  other.end();
  assert.equal((await outcome).code, 0);
});

scenario('a descriptor that carries megabytes carries them whole', async (stage) => {
  const content = pattern(3_000_000);
  const { other, outcome } = bornWith(stage, ({ net }) => {
    const socket = new net.Socket({ fd: 3, allowHalfOpen: true });
    socket.pipe(socket);
  });
  const text = received(other);
  other.end(content);
  assert.ok((await text).equals(content));
  assert.equal((await outcome).code, 0);
});

scenario(
  'a descriptor reads nothing with readable: false, and does not hold the process',
  async (stage) => {
    const { other, outcome } = bornWith(stage, ({ net, say }) => {
      const socket = new net.Socket({ fd: 3, readable: false });
      say(`readable ${socket.readable} writable ${socket.writable} ${socket.readyState}`);
      socket.write('one way', () => say('written'));
    });
    const [chunk] = await happens(other, 'data');
    stage.trace('other', chunk);
    const result = await outcome;
    stage.trace('child', result);
    assert.equal(result.stdout, 'readable false writable true writeOnly\nwritten\n');
  },
);

scenario('an open descriptor holds the process until unref()', async (stage) => {
  const { outcome } = bornWith(stage, ({ net, say }) => {
    const socket = new net.Socket({ fd: 3 });
    setTimeout(() => {
      say('held');
      socket.unref();
    }, 50).unref();
  });
  const result = await outcome;
  stage.trace('child', result);
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'held\n', stderr: '' });
});

scenario(
  'the end of the other side is noticed on a descriptor that nobody reads',
  async (stage) => {
    const { other, outcome } = bornWith(stage, ({ net, say }) => {
      const socket = new net.Socket({ fd: 3 });
      socket.on('end', () => say('end'));
      socket.on('close', (hadError) => say(`close ${hadError}`));
    });
    other.resume();
    other.end();
    const result = await outcome;
    stage.trace('child', result);
    assert.equal(result.stdout, 'end\nclose false\n');
  },
);

scenario('destroy() closes the descriptor', async (stage) => {
  const { other, outcome } = bornWith(stage, ({ net, require, say }) => {
    const fs = require('node:fs') as typeof import('node:fs');
    const open = (): boolean => {
      try {
        fs.fstatSync(3);
        return true;
      } catch {
        return false;
      }
    };
    const socket = new net.Socket({ fd: 3 });
    say(`before ${open()}`);
    socket.on('close', () => say(`in close ${open()}`));
    socket.destroy();
  });
  other.resume();
  await happens(other, 'end');
  const result = await outcome;
  stage.trace('child', result);
  assert.equal(result.stdout, 'before true\nin close false\n');
});

scenario('what cannot be a descriptor is refused at once', async (stage) => {
  const file = openSync(devNull, 'r');
  stage.defer(() => closeSync(file));
  const wrong: readonly [string, unknown, string][] = [
    ['a negative number', -1, 'ERR_OUT_OF_RANGE'],
    ['a fraction', 1.5, 'ERR_OUT_OF_RANGE'],
    ['a string', '3', 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['an object', {}, 'ERR_INVALID_ARG_TYPE'],
    ['a number nobody has opened', 1_000_000, 'ERR_INVALID_FD_TYPE'],
    ['a file', file, 'ERR_INVALID_FD_TYPE'],
  ];
  for (const [what, fd, code] of wrong) {
    let thrown: unknown;
    try {
      Reflect.construct(stage.net.Socket, [{ fd }]);
    } catch (error) {
      thrown = error;
    }
    stage.trace(what, thrown);
    assert.equal(Reflect.get(Object(thrown), 'code'), code, what);
  }
});

scenario('fd: undefined is the same as none', async (stage) => {
  const socket = new stage.net.Socket({ fd: undefined });
  stage.defer(() => socket.destroy());
  stage.trace('socket', socket.pending, socket.readyState);
  assert.equal(socket.pending, true);
});
