// A service that lets in the members of one group, and says who they are. Everybody else is disconnected before anything of theirs is read.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import net from 'afunix';
import { anyOf, group, sameUser } from 'afunix/credentials';

const folder = mkdtempSync(path.join(tmpdir(), 'afunix-'));
const file = path.join(folder, 's');

const server = net.createServer(async (socket) => {
  const { peerCredentials: peer } = socket;
  const name = (await peer.userName()) ?? `uid ${peer.uid}`;
  socket.end(`hello ${name}, of the groups ${peer.groups}\n`);
});
server.on('refused', (peer, refusal) => console.log(`refused ${peer.uid}: ${refusal}`));

function ask() {
  return new Promise((resolve) => {
    let answer = '';
    net
      .connect(file)
      .on('data', (chunk) => (answer += chunk))
      .on('error', (error) => (answer = `${error.code}\n`))
      .on('close', () => resolve(answer || 'disconnected\n'))
      .resume();
  });
}

function listening(authorize) {
  // The file lets in whoever is in its group; here it is ours alone.
  return new Promise((resolve) => server.listen({ path: file, mode: 0o660, authorize }, resolve));
}

// Who is in the group, or is ourselves: `gid: ...` would give the file to that group.
await listening(anyOf(group('adm'), sameUser()));
process.stdout.write(await ask());
await new Promise((resolve) => server.close(resolve));

// A group that there is not: nobody can be known to be in it.
await listening(group('no-such-group'));
process.stdout.write(await ask());
await new Promise((resolve) => server.close(resolve));
rmSync(folder, { recursive: true });
