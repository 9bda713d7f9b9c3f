/** What a service tells its manager. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { notify, watchdog, type Notification } from 'afunix/activation';
import { Descriptor } from 'afunix/raw';
import { leavesNothingOpen } from '../helpers/descriptors';
import { freshDirectory, freshPath } from '../helpers/socket-paths';
import { startManager, startService } from './support';

function withEnvironment(t: TestContext, env: Readonly<Record<string, string | undefined>>): void {
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(env)) {
    const before = process.env[name];
    set(name, value);
    t.after(() => set(name, before));
  }
}

const said: readonly [Notification | string, string][] = [
  [{ ready: true }, 'READY=1'],
  [{ ready: true, status: 'Serving 7 clients' }, 'READY=1\nSTATUS=Serving 7 clients'],
  [{ stopping: true, ready: false, status: '' }, 'STOPPING=1\nSTATUS='],
  [{ watchdog: true }, 'WATCHDOG=1'],
  [{ watchdog: 'trigger' }, 'WATCHDOG=trigger'],
  [{ watchdogUsec: 20_000_000 }, 'WATCHDOG_USEC=20000000'],
  [{ mainPid: 4711, errno: 2 }, 'MAINPID=4711\nERRNO=2'],
  [{ extendTimeoutUsec: 5_000_000 }, 'EXTEND_TIMEOUT_USEC=5000000'],
  [{ fdStoreRemove: true, fdName: 'state' }, 'FDSTOREREMOVE=1\nFDNAME=state'],
  ['X_OURS=1\nREADY=1\n', 'X_OURS=1\nREADY=1\n'],
];

for (const address of ['a path', 'an abstract name']) {
  test(`everything that can be said arrives as sd_notify(3) has it, in order, over ${address}`, async (t) => {
    const name = address === 'a path' ? freshPath(t) : `@afunix-notify-${process.pid}`;
    const manager = await startManager(t, name, said.length);
    withEnvironment(t, { NOTIFY_SOCKET: name });
    for (const [notification] of said) assert.equal(notify(notification), true);
    for (const [, text] of said) {
      assert.deepEqual(await manager.received(), { text, pid: process.pid, files: [] });
    }
  });
}

test('reloading says when, on the clock that the manager compares with', async (t) => {
  const name = freshPath(t);
  const manager = await startManager(t, name, 1);
  withEnvironment(t, { NOTIFY_SOCKET: name });
  const uptime = (): number => Number(process.hrtime.bigint() / 1000n);
  const before = uptime();
  notify({ reloading: true });
  const { text } = await manager.received();
  const [, when] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(text) ?? [];
  assert.ok(Number(when) >= before && Number(when) <= uptime());
});

test('descriptors go along for the store, and stay the sender’s', async (t) => {
  const name = freshPath(t);
  const manager = await startManager(t, name, 2);
  withEnvironment(t, { NOTIFY_SOCKET: name });
  const file = `${freshDirectory(t)}/state`;
  const fs = await import('node:fs');
  fs.writeFileSync(file, 'kept');
  const fd = fs.openSync(file, 'r');
  const owned = new Descriptor(fs.openSync('/dev/null', 'r'));
  assert.equal(notify({ fdStore: [fd, owned], fdName: 'state', fdPoll: false }), true);
  assert.deepEqual(await manager.received(), {
    text: 'FDSTORE=1\nFDNAME=state\nFDPOLL=0',
    pid: process.pid,
    files: [file, '/dev/null'],
  });
  assert.equal(readFileSync(fd, 'utf8'), 'kept');
  assert.equal(notify({ fdStore: Array<number>(253).fill(fd) }), true);
  assert.equal((await manager.received()).files.length, 253);
  assert.throws(() => notify({ fdStore: Array<number>(254).fill(fd) }), {
    code: 'ERR_OUT_OF_RANGE',
  });
  fs.closeSync(fd);
  assert.throws(() => notify({ fdStore: [fd] }), { code: 'EBADF', syscall: 'sendmsg' });
  owned.close();
  assert.throws(() => notify({ fdStore: [owned] }), { code: 'EBADF' });
});

test('without a manager it says so, and does nothing', (t) => {
  for (const address of [undefined, '']) {
    withEnvironment(t, { NOTIFY_SOCKET: address });
    assert.equal(notify({ ready: true }), false);
    assert.equal(notify('READY=1'), false);
  }
  // Mistakes show there as well.
  assert.throws(() => notify({ status: 'two\nlines' }), { code: 'ERR_INVALID_ARG_VALUE' });
});

const mistakes: readonly [unknown, string, RegExp][] = [
  [{ status: 'one\nREADY=1' }, 'ERR_INVALID_ARG_VALUE', /must be one line/],
  [{ status: 'nul\0' }, 'ERR_INVALID_ARG_VALUE', /must be one line/],
  [{ status: 5 }, 'ERR_INVALID_ARG_TYPE', /notification\.status/],
  [{ ready: 1 }, 'ERR_INVALID_ARG_TYPE', /notification\.ready" argument must be of type boolean/],
  [{ reloading: 'yes' }, 'ERR_INVALID_ARG_TYPE', /notification\.reloading/],
  [{ watchdog: 'bark' }, 'ERR_INVALID_ARG_VALUE', /must be a boolean or 'trigger'/],
  [{ mainPid: 0 }, 'ERR_OUT_OF_RANGE', /MAINPID/],
  [{ errno: -2 }, 'ERR_OUT_OF_RANGE', /ERRNO/],
  [{ fdName: 'a:b' }, 'ERR_INVALID_ARG_VALUE', /without a colon/],
  [{ fdName: 'a\nREADY=1' }, 'ERR_INVALID_ARG_VALUE', /without a colon/],
  [{ fdName: 'x'.repeat(256) }, 'ERR_INVALID_ARG_VALUE', /1 to 255/],
  [{ fdStore: [] }, 'ERR_OUT_OF_RANGE', /fdStore\.length/],
  [{ fdStore: 3 }, 'ERR_INVALID_ARG_TYPE', /fdStore/],
  [{ fdStoreRemove: true }, 'ERR_INVALID_ARG_VALUE', /says by fdName/],
  [{ redy: true }, 'ERR_INVALID_ARG_VALUE', /has no field 'redy'/],
  ['READY', 'ERR_INVALID_ARG_VALUE', /lines of the form/],
  ['', 'ERR_INVALID_ARG_VALUE', /lines of the form/],
  [null, 'ERR_INVALID_ARG_TYPE', /an object or a string/],
];

for (const [notification, code, message] of mistakes) {
  test(`${JSON.stringify(notification).slice(0, 40)} is refused`, (t) => {
    withEnvironment(t, { NOTIFY_SOCKET: '/nowhere' });
    assert.throws(() => notify(notification as Notification), { code, message });
  });
}

test('a manager that is not there, or is something else, is an error', (t) => {
  const expect = (address: string, code: string): void => {
    withEnvironment(t, { NOTIFY_SOCKET: address });
    assert.throws(() => notify({ ready: true }), { code, syscall: 'sendmsg' });
  };
  expect('/nowhere/at/all', 'ENOENT');
  expect('@afunix-nobody', 'ECONNREFUSED');
  expect('vsock:2:1234', 'EAFNOSUPPORT');
  expect('relative', 'EAFNOSUPPORT');
});

test('a manager that reads nothing is waited for, but not for ever', async (t) => {
  const name = freshPath(t);
  await startManager(t, name, 0);
  withEnvironment(t, { NOTIFY_SOCKET: name });
  let sent = 0;
  assert.throws(
    () => {
      for (; sent < 100_000; sent += 1) notify({ status: 'still here' });
    },
    { code: 'EAGAIN', syscall: 'sendmsg' },
  );
  assert.ok(sent > 0);
});

test('a notification leaves no descriptor open, whether it arrives or not', async (t) => {
  const name = freshPath(t);
  await startManager(t, name, 5000);
  await leavesNothingOpen(() => {
    process.env['NOTIFY_SOCKET'] = name;
    notify({ watchdog: true });
    process.env['NOTIFY_SOCKET'] = '/nowhere';
    assert.throws(() => notify({ fdStore: [0] }));
    // The manager's output has to be read.
    return new Promise((resolve) => setImmediate(resolve));
  });
  Reflect.deleteProperty(process.env, 'NOTIFY_SOCKET');
});

test('the watchdog tells twice as often as it has to, at once the first time', async (t) => {
  const name = freshPath(t);
  const manager = await startManager(t, name, 4);
  withEnvironment(t, {
    NOTIFY_SOCKET: name,
    WATCHDOG_USEC: '40000',
    WATCHDOG_PID: String(process.pid),
  });
  const dog = watchdog();
  assert.equal(dog?.interval, 20);
  const hold = setInterval(() => undefined, 1000);
  for (let i = 0; i < 4; i += 1) assert.equal((await manager.received()).text, 'WATCHDOG=1');
  dog.stop();
  dog[Symbol.dispose]();
  clearInterval(hold);
});

test('the watchdog says nothing while the service is not well', async (t) => {
  const name = freshPath(t);
  const manager = await startManager(t, name, 2);
  withEnvironment(t, { NOTIFY_SOCKET: name, WATCHDOG_USEC: '4000', WATCHDOG_PID: undefined });
  let asked = 0;
  let well = false;
  const hold = setInterval(() => undefined, 1000);
  const dog = watchdog({
    healthy: async () => {
      asked += 1;
      await new Promise((resolve) => setImmediate(resolve));
      return well;
    },
  });
  while (asked < 5) await new Promise((resolve) => setImmediate(resolve));
  notify({ status: 'not well so far' });
  well = true;
  assert.equal((await manager.received()).text, 'STATUS=not well so far');
  assert.equal((await manager.received()).text, 'WATCHDOG=1');
  dog?.stop();
  clearInterval(hold);
});

test('a watchdog whose healthy() fails is not well, warns once, and asks again', async (t) => {
  const failures: Record<string, () => boolean | Promise<boolean>> = {
    rejects: () => Promise.reject(new Error('ill')),
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as plain JavaScript may
    'rejects with nothing': () => Promise.reject(undefined),
    throws: () => {
      throw new Error('ill');
    },
    'has a then that throws': () =>
      ({
        then() {
          throw new Error('ill');
        },
      }) as unknown as Promise<boolean>,
  };
  for (const [how, fail] of Object.entries(failures)) {
    const name = freshPath(t);
    const manager = await startManager(t, name, 2);
    withEnvironment(t, { NOTIFY_SOCKET: name, WATCHDOG_USEC: '4000', WATCHDOG_PID: undefined });
    const warnings: string[] = [];
    const heard = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', heard);
    const hold = setInterval(() => undefined, 1000);
    let asked = 0;
    const dog = watchdog({ healthy: () => ((asked += 1) <= 3 ? fail() : true) });
    while (asked < 3) await new Promise((resolve) => setImmediate(resolve));
    notify({ status: how });
    assert.equal((await manager.received()).text, `STATUS=${how}`);
    assert.equal((await manager.received()).text, 'WATCHDOG=1');
    dog?.stop();
    clearInterval(hold);
    process.off('warning', heard);
    assert.equal(warnings.length, 1, how);
    assert.match(warnings[0] ?? '', /healthy\(\) failed/);
  }
});

test('nobody who waits for it, no watchdog', (t) => {
  const name = freshPath(t);
  const cases = [
    { NOTIFY_SOCKET: name, WATCHDOG_USEC: undefined, WATCHDOG_PID: undefined },
    { NOTIFY_SOCKET: name, WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1' },
    { NOTIFY_SOCKET: undefined, WATCHDOG_USEC: '1000000', WATCHDOG_PID: undefined },
  ];
  for (const env of cases) {
    withEnvironment(t, env);
    assert.equal(watchdog(), null);
  }
  for (const value of ['0', 'soon', '-5']) {
    withEnvironment(t, { NOTIFY_SOCKET: name, WATCHDOG_USEC: value, WATCHDOG_PID: undefined });
    assert.throws(() => watchdog(), { code: 'ERR_AFUNIX_ACTIVATION' });
  }
  assert.throws(() => watchdog({ healthy: true as never }), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a watchdog that cannot be told warns once, and does not hold the process', async (t) => {
  const service = startService(
    t,
    { sockets: [], env: { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '2000' } },
    ({ activation, say }) => {
      process.on('warning', ({ message }) => say(message));
      const dog = activation.watchdog();
      say(dog?.interval);
      setTimeout(() => undefined, 30);
    },
  );
  const { code, lines } = await service.ended;
  assert.equal(code, 0);
  assert.deepEqual(lines, ['1', 'the watchdog could not be told: Error: sendmsg ENOENT /nowhere']);
});
