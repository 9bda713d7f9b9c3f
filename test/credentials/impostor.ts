/** An impostor: another user's process that has taken the place of a server, and what it got from those who came. */
import { chownSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { type Kind, NOBODY, sharedPath, start } from './support';

/** What it received on one connection, from the first byte to the end or the reset. */
export interface Loot {
  readonly bytes: string;
  /** What is in the files whose descriptors it was sent. */
  readonly files: readonly string[];
}

export interface Impostor {
  readonly path: string;
  /** Of the next connection that is over. */
  loot(): Promise<Loot>;
}

/** It speaks first, as a server of such a protocol would, and takes whatever comes. */
const IMPOSTOR = `
import json, os, socket, sys
kind, path = getattr(socket, 'SOCK_' + sys.argv[1].upper()), sys.argv[2]
server = socket.socket(socket.AF_UNIX, kind)
server.bind(path)
os.chmod(path, 0o666)
server.listen()
print('listens', flush=True)
while True:
    client, _ = server.accept()
    received, files = b'', []
    try:
        client.send(b'from the impostor')
        while True:
            message, fds, _, _ = socket.recv_fds(client, 65536, 16)
            files += [os.pread(fd, 100, 0).decode() for fd in fds]
            if not message:
                break
            received += message
    except OSError:
        pass
    client.close()
    print(json.dumps({'bytes': received.decode('latin1'), 'files': files}), flush=True)
`;

export async function startImpostor(t: TestContext, kind: Kind): Promise<Impostor> {
  const path = sharedPath(t);
  chownSync(dirname(path), NOBODY, NOBODY);
  const process = start(t, ['/usr/bin/python3', '-c', IMPOSTOR, kind, path], { uid: NOBODY });
  const first = await process.line();
  if (first !== 'listens') throw new Error(first);
  return { path, loot: async () => JSON.parse(await process.line()) as Loot };
}

export const NOTHING: Loot = { bytes: '', files: [] };
