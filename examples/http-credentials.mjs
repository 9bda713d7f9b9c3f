// HTTP over a path, with the caller's credentials on each request: no password, no token.
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { anyOf, sameUser, uid } from 'afunix/credentials';
import { serve } from 'afunix/http';

const folder = mkdtempSync(path.join(tmpdir(), 'afunix-'));
const file = path.join(folder, 's');

const app = http.createServer((request, response) => {
  const { peerCredentials: peer } = request.socket;
  // What they may do is asked for each request; who they are cannot change.
  const mayWrite = peer.uid === process.geteuid();
  if (request.method !== 'GET' && !mayWrite) response.writeHead(403);
  response.end(`uid ${peer.uid}, gid ${peer.gid} asked for ${request.url}\n`);
});
app.on('refused', (peer, refusal) => console.log(`refused ${peer.uid}: ${refusal}`));

serve(app, { path: file, authorize: anyOf(sameUser(), uid(0)) }, () => {
  http.get({ socketPath: file, path: '/status', agent: false }, (response) => {
    response.pipe(process.stdout);
    response.on('end', () => app.close(() => rmSync(folder, { recursive: true })));
  });
});
