// A privileged helper that does something for whoever may ask for it, and checks who asks as it should be checked: by the user that the
// kernel recorded, and, to ask the user's session about the process, by a pidfd. A pid alone may be somebody else's by now.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import seqpacket from 'afunix/seqpacket';
import { allOf, executable, sameUser } from 'afunix/credentials';

const folder = mkdtempSync(path.join(tmpdir(), 'afunix-'));
const file = path.join(folder, 's');

/** What the process calls itself, or null if it is not there any more. */
function nameOf(peer) {
  const { pidfd } = peer;
  if (pidfd === null) return null; // Before Linux 6.5 it cannot be known; the pid is no substitute.
  const about = readFileSync(`/proc/self/fdinfo/${pidfd.fd}`, 'utf8');
  const pid = Number(/^Pid:\s*(-?\d+)$/m.exec(about)?.[1]);
  if (!(pid > 0)) return null;
  const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  // Only if it is still there was it this process that we read about: as long as it is, nobody else has its number.
  return readFileSync(`/proc/self/fdinfo/${pidfd.fd}`, 'utf8') === about ? name : null;
}

// The user decides; which program it is narrows that down, and is no evidence by itself.
const authorize = allOf(sameUser(), executable(process.execPath));
const helper = seqpacket.createServer((socket) => {
  const { peerCredentials: peer } = socket;
  // Work for somebody who is gone is given up, even if others have the connection, too.
  const { signal } = peer.exited;
  socket.on('message', (request) => {
    const name = nameOf(peer);
    const done = name !== null && !signal.aborted;
    socket.send(done ? `did ${request} for ${name}, user ${peer.uid}` : 'refused');
  });
});
helper.listen({ path: file, mode: 0o666, authorize }, () => {
  // The client checks as well who it talks to, before it says anything.
  const client = seqpacket.connect({ path: file, authorize: sameUser() });
  client.on('connect', () => client.send('the update'));
  client.on('message', (answer) => {
    console.log(String(answer));
    client.end();
  });
  client.on('close', () => helper.close(() => rmSync(folder, { recursive: true })));
});
