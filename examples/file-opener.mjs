// A privileged opener of files: a program that may read what others may not opens it for them, and gives them the open file. It looks
// at who asks, opens only what is in its folder, never follows a link, and the client never needs the permission itself.
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import seqpacket from 'afunix/seqpacket';
import { sameUser } from 'afunix/credentials';

const folder = mkdtempSync(path.join(tmpdir(), 'afunix-'));
const file = path.join(folder, 's');
writeFileSync(path.join(folder, 'secret'), 'what only the opener may read');

const opener = seqpacket.createServer((socket) => {
  socket.on('message', (message) => {
    const name = String(message);
    // One name, no path; a message is a request, however many come at once.
    if (!/^[\w-]+$/.test(name)) {
      socket.send(`refused: ${JSON.stringify(name)} is no name`);
      return;
    }
    try {
      const fd = openSync(path.join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW);
      // The message keeps a copy of its own until the client has it.
      socket.sendDescriptors([fd], 'opened');
      closeSync(fd);
    } catch (error) {
      socket.send(`refused: ${error.code}`);
    }
  });
});

opener.listen({ path: file, mode: 0o666, authorize: sameUser() }, () => {
  const client = seqpacket.connect({ path: file, authorize: sameUser(), maxDescriptors: 1 });
  client.sendBatch(['secret', 'nothing', '../secret']);
  let answers = 0;
  client.on('message', (answer, { descriptors: [descriptor] }) => {
    console.log(String(answer));
    if (descriptor !== undefined) {
      console.log(readFileSync(descriptor.fd, 'utf8'));
      descriptor.close();
    }
    if (++answers === 3) client.end();
  });
  client.on('close', () => opener.close(() => rmSync(folder, { recursive: true })));
});
