/** Every example runs to its end, prints what it should, and leaves no file behind. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { folder, root } from './support';

const examples = path.join(root, 'examples');

const outputs: Readonly<Record<string, RegExp>> = {
  'abstract.mjs':
    /^listening on @\S+\na file of that name: no\nafunix hears: hello\nnode:net hears: hello\nthis Node's names are (exact|padded)\nby its exact name: hello\n$/,
  'dbus-descriptors.mjs': /^connected as :\S+ and :\S+\npassed over the bus\n$/,
  'echo.mjs': /^Hello over a Unix socket\n$/,
  'either-address.mjs': /^hello over unix\nhello over tcp\n$/,
  'file-opener.mjs':
    /^opened\nwhat only the opener may read\nrefused: ENOENT\nrefused: "..\/secret" is no name\n$/,
  'framed-descriptors.mjs':
    /^nothing with this\none with this: the file a\nand nothing\ntwo with this: the file b: the file c\n$/,
  'handover.mjs':
    /^3 deploys, generations that answered: 4\nconnections: \d{4,}, lost or refused: 0\n$/,
  'http-behind-nginx.mjs': /^(\/(once\/|direct\/)? (up|down)load: same\n){6}$/,
  'http-credentials.mjs': /^uid \d+, gid \d+ asked for \/status\n$/,
  'lines.mjs': /^10 clients, \d+ lines each: all came back as they were sent\n$/,
  'one-group.mjs':
    /^hello \S+, of the groups .+\nrefused \d+: there is no group 'no-such-group'\ndisconnected\n$/,
  'onread.mjs': /^64 MiB through a buffer of 64 KiB\nwhat arrived is what was sent\n$/,
  'privileged-helper.mjs': /^did the update for \S+, user \d+\n$/,
  'raw-ping-pong.mjs': /^20{2,3} round trips of 128 bytes over seqpacket\n\d+\.\d µs each\n$/,
  'seqpacket-ring.mjs': /^the worker read 100000 messages, in order\nseveral at a time: yes\n$/,
  'seqpacket.mjs': /^19 \+ 23 = 42, in 10 bytes\n1000 answers, 999000 in all\n$/,
  'socket-activation.mjs':
    /^listening\n(?=[^]*hello from api\n)(?=[^]*the manager hears: READY=1, STATUS=Serving\n)(?=[^]*the manager hears: WATCHDOG=1\n)[^]*the manager hears: STOPPING=1\n/,
  'stats.mjs':
    /^engine: (?:epoll|io_uring)\nconnected: 100\naccepted: 100\nrefused: 0\nbytesRead: 2560000\nbytesWritten: 2560000\nwakeups: \d+\ncompletions: \d+\nflushes: \d+\nsyscalls: \d+\nsystem calls per round trip, both ends together: \d+\.\d\d\n$/,
  'threads-scaling.mjs':
    /^1 thread: \d+ requests per second\n2 threads: \d+ requests per second, \d+\.\d\d times\n$/,
  'threads.mjs': /^connections: 50\n$/,
};

test('there is an expectation for every example', () => {
  const programs = readdirSync(examples).filter((file) => file.endsWith('.mjs'));
  assert.deepEqual(programs.sort(), Object.keys(outputs));
});

for (const [file, expected] of Object.entries(outputs)) {
  test(file, { timeout: 60_000 }, async (t) => {
    const temporary = folder(t);
    const env = { ...process.env, TMPDIR: temporary, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' };
    const output = await new Promise<{ stdout: string; stderr: string; code: number | string }>(
      (resolve) => {
        const program = path.join(examples, file);
        const child = execFile(process.execPath, [program], { env }, (error, stdout, stderr) => {
          resolve({ stdout, stderr, code: error?.code ?? 0 });
        });
        t.after(() => child.kill('SIGKILL'));
      },
    );
    assert.deepEqual({ code: output.code, stderr: output.stderr }, { code: 0, stderr: '' });
    assert.match(output.stdout, expected);
    assert.deepEqual(readdirSync(temporary), []);
  });
}

test('the README shows echo.mjs as it is', () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const program = readFileSync(path.join(examples, 'echo.mjs'), 'utf8');
  assert.ok(readme.includes('```js\n' + program + '```'));
});
