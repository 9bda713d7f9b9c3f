/** PostgreSQL asks the kernel who is at the other end (`peer` in pg_hba.conf): over our sockets it is told the truth. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { postgresPrograms, startPostgres } from './postgres';

const skip =
  postgresPrograms() === undefined
    ? 'needs PostgreSQL'
    : process.getuid?.() === 0
      ? false
      : 'needs root: it logs in as another user';

/** Logs in as `role` with no password, in a process of this user; what the server said first. */
function logIn(file: string, role: string, uid: number, gid: number): Promise<string> {
  const program = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const { uid } = require(${JSON.stringify(require.resolve('afunix/credentials'))});
    const fields = Buffer.from('user\\0' + process.argv[2] + '\\0database\\0postgres\\0\\0');
    const start = Buffer.alloc(8);
    start.writeInt32BE(fields.length + 8, 0);
    start.writeInt32BE(196608, 4);
    // The server is asked who it is, too.
    const authorize = uid(Number(process.argv[3]));
    const socket = net.connect({ path: process.argv[1], authorize });
    socket.write(Buffer.concat([start, fields]));
    socket.once('data', (answer) => {
      console.log(answer[0] === 0x52 && answer.readInt32BE(5) === 0 ? 'ok' : String(answer));
      socket.destroy();
    });
  `;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', program, file, role, String(postgresUid)], {
      uid,
      gid,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.once('error', reject);
    child.once('close', () => resolve(said.trim()));
  });
}

let postgresUid = -1;

test('a peer login works through our socket, for the user alone', { skip }, async (t) => {
  const { file, user } = await startPostgres(t, 'peer');
  postgresUid = user.uid;
  assert.equal(await logIn(file, user.name, user.uid, user.gid), 'ok');
  // Root is root, and not the user that it says it is.
  assert.match(await logIn(file, user.name, 0, 0), /Peer authentication failed/);
});
