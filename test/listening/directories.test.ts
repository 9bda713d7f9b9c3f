/** T2: directories in which somebody else could put another socket are refused. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { runLone } from '../helpers/lone-process';
import { freshDirectory } from '../helpers/socket-paths';
import { closed, kinds, listenError, listening, makeServer, needsRoot, NOBODY } from './support';

/** A directory inside a fresh one, which is trustworthy. */
function inner(t: TestContext, mode = 0o700): string {
  const directory = path.join(freshDirectory(t), 'inner');
  mkdirSync(directory);
  chmodSync(directory, mode);
  return directory;
}

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind}: writable by everybody without the sticky bit is refused, with it not`, async (t) => {
    const directory = inner(t, 0o777);
    const file = path.join(directory, 's');
    const error = await listenError(t, { path: file, mode: 0o600 }, make);
    assert.equal(error.code, 'ERR_AFUNIX_UNSAFE_DIRECTORY');
    assert.equal(
      error.message,
      `listen: '${directory}' has no sticky bit and is writable by everybody, who could put another socket in the place of '${file}'`,
    );
    assert.equal(error.directory, directory);
    assert.equal(error.address, file);
    assert.match(error.hint ?? '', /checkDirectory: false/);
    assert.equal(existsSync(file), false);

    chmodSync(directory, 0o1777);
    await closed(await listening(t, { path: file, mode: 0o600 }, make));
  });

  test(`${kind}: it is asked for with any of the options, can be left out, and net never does it`, async (t) => {
    const file = path.join(inner(t, 0o777), 's');
    for (const options of [
      { stale: 'error' },
      { stale: 'probe' },
      { stale: 'replace' },
      { checkDirectory: true },
      { gid: process.getegid?.() },
    ] as const) {
      const error = await listenError(t, { path: file, ...options }, make);
      assert.equal(error.code, 'ERR_AFUNIX_UNSAFE_DIRECTORY');
    }
    await closed(await listening(t, { path: file, checkDirectory: false }, make));
    await closed(await listening(t, { path: file, mode: 0o600, checkDirectory: false }, make));
    await closed(await listening(t, { path: file }, make));
    await closed(await listening(t, { path: file, writableAll: true }, make));
  });
}

test('every directory above counts', async (t) => {
  const directory = inner(t);
  mkdirSync(`${directory}/a/b`, { recursive: true });
  chmodSync(directory, 0o777);
  const error = await listenError(t, { path: `${directory}/a/b/s`, mode: 0o600 });
  assert.equal(error.directory, directory);
});

test('so does every directory on the way of a link, and of a relative path', async (t) => {
  const open = inner(t, 0o777);
  mkdirSync(`${open}/ours`);
  const safe = inner(t);
  symlinkSync(`${open}/ours`, `${safe}/absolute`);
  symlinkSync(`../../${path.basename(path.dirname(open))}/inner/ours`, `${safe}/relative`);
  symlinkSync('relative', `${safe}/twice`);
  for (const link of ['absolute', 'relative', 'twice', 'absolute/../ours', './/absolute/.']) {
    const error = await listenError(t, { path: `${safe}/${link}/s`, mode: 0o600 });
    assert.equal(error.directory, open, link);
  }
  symlinkSync('loop', `${safe}/loop`);
  const loop = await listenError(t, { path: `${safe}/loop/s`, mode: 0o600 });
  assert.equal(loop.code, 'ELOOP');

  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(`${open}/ours`);
  for (const relative of ['s', './s', '../ours/s']) {
    const error = await listenError(t, { path: relative, mode: 0o600 });
    assert.equal(error.directory, open);
  }
  process.chdir(safe);
  const server = await listening(t, { path: 's', mode: 0o600 });
  assert.equal(server.address(), 's');
});

test(
  'a directory, or a link, of somebody else is refused, unless the file is to be his',
  { skip: needsRoot },
  async (t) => {
    const directory = inner(t, 0o755);
    chownSync(directory, NOBODY, NOBODY);
    const file = `${directory}/s`;
    const error = await listenError(t, { path: file, mode: 0o600 });
    assert.equal(error.directory, directory);
    assert.match(
      error.message,
      /belongs to uid 65534, which may stand for any user of another namespace, who could/,
    );
    await closed(await listening(t, { path: file, uid: NOBODY }));

    chownSync(directory, 12, 12);
    assert.match(
      (await listenError(t, { path: file, mode: 0o600 })).message,
      /belongs to uid 12, who/,
    );
    assert.match(
      (await listenError(t, { path: file, uid: NOBODY })).message,
      /belongs to uid 12, who/,
    );
    chownSync(directory, 0, 0);
    symlinkSync(directory, `${directory}-link`);
    await closed(await listening(t, { path: `${directory}-link/s`, mode: 0o600 }));
    lchownSync(`${directory}-link`, 12, 12);
    const link = await listenError(t, { path: `${directory}-link/s`, mode: 0o600 });
    assert.equal(link.directory, `${directory}-link`);
    assert.match(link.message, /is a symbolic link of uid 12, who/);
  },
);

test('a directory that the group may write to is the group’s matter', async (t) => {
  await closed(await listening(t, { path: `${inner(t, 0o775)}/s`, mode: 0o660 }));
});

test('where nobody may look nothing is opened', { skip: needsRoot }, async (t) => {
  const directory = inner(t);
  const lines = await runLone(
    t,
    { path: `${directory}/s` },
    ({ net, parameters: { path }, say }) => {
      process.setgroups?.([]);
      process.setgid?.(65_534);
      process.setuid?.(65_534);
      net
        .createServer()
        .on('error', ({ code, syscall }: NodeJS.ErrnoException) => say(`${code} ${syscall}`))
        .listen({ path, mode: 0o600 });
    },
  );
  assert.deepEqual(lines, ['EACCES listen']);
});

test('something above that is no directory is what the kernel calls it', async (t) => {
  const directory = inner(t);
  await listening(t, { path: `${directory}/s`, mode: 0o600 });
  const error = await listenError(t, { path: `${directory}/s/below`, mode: 0o600 });
  assert.equal(error.code, 'ENOTDIR');
});

test('T2: a directory that is hijacked while servers start and stop costs nobody a file', async (t) => {
  // Somebody who may rename in the directory above: refused by default, survived without the check.
  const directory = inner(t);
  const other = `${directory}-other`;
  mkdirSync(other);
  const theirs = await listening(t, { path: `${other}/s`, mode: 0o600 });
  const swap = (): void => {
    renameSync(directory, `${directory}-away`);
    renameSync(other, directory);
    renameSync(`${directory}-away`, other);
  };
  for (const stale of ['error', 'probe'] as const) {
    const ours = makeServer(t).listen({ path: `${directory}/s`, stale, checkDirectory: false });
    await new Promise((resolve) => ours.once('listening', resolve));
    // Now the path leads to the others' socket: it is not ours to remove.
    swap();
    await closed(ours);
    assert.ok(existsSync(`${directory}/s`));
    swap();
    const left = await listening(t, {
      path: `${directory}/s`,
      stale: 'probe',
      checkDirectory: false,
    });
    await closed(left);
  }
  assert.ok(theirs.listening);
});
