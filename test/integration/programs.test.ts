/** Other people's programs at the other end: socat, netcat, an ASGI server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import nodeNet from 'node:net';
import path from 'node:path';
import net from 'afunix';
import { Agent } from 'afunix/http';
import { giveToNobody, needs, start } from './server-program';
import { bytes, collected, happens, sha256 } from './support';
import { bothWays, isOurs, onOurs, placeFor } from './ways';

bothWays('socat and netcat as clients', async (t, way) => {
  const programs = needs(t, { socat: 'socat', nc: 'netcat-openbsd' });
  if (programs === null) return;
  const [socat = '', nc = ''] = programs;
  const to = path.join(placeFor(t).by[way], 's');
  const implementation = (way === 'hook' ? net : nodeNet) as typeof nodeNet;
  const server = implementation.createServer({ allowHalfOpen: true }, (socket) =>
    socket.pipe(socket),
  );
  server.listen(to);
  t.after(() => server.close());
  await happens(server, 'listening');
  const data = bytes(10_000_000);
  for (const [program, ...args] of [
    [socat, '-t', '60', '-', `UNIX-CONNECT:${to}`],
    [nc, '-N', '-U', to],
  ] as const) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    child.stdin.end(data);
    assert.equal(sha256(await onOurs(() => collected(child.stdout))), sha256(data), program);
  }
});

bothWays('socat and netcat as servers', async (t, way) => {
  const programs = needs(t, { socat: 'socat', nc: 'netcat-openbsd' });
  if (programs === null) return;
  const [socat = '', nc = ''] = programs;
  const place = placeFor(t);
  giveToNobody(place.folder);
  const to = (name: string): string => path.join(place.by[way], name);
  const connect = (name: string): nodeNet.Socket =>
    way === 'hook' ? net.connect(to(name)) : nodeNet.connect(to(name));
  const echo = start(
    t,
    socat,
    ['-d', '-d', `UNIX-LISTEN:${path.join(place.folder, 'echo')},mode=777`, 'EXEC:cat'],
    { cwd: place.folder },
  );
  await echo.logged('listening on');
  const data = bytes(5_000_000);
  const echoed = await onOurs(() => {
    const client = connect('echo');
    client.end(data);
    return collected(client);
  });
  assert.equal(sha256(echoed), sha256(data));
  const ear = start(t, nc, ['-v', '-l', '-U', path.join(place.folder, 'ear')], {
    cwd: place.folder,
  });
  await ear.logged('istening on');
  const speaker = connect('ear');
  speaker.end('heard by netcat\n');
  await Promise.all([ear.logged('heard by netcat'), happens(speaker.resume(), 'close')]);
});

const ASGI = `
async def app(scope, receive, send):
    assert scope['type'] == 'http'
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get('body', b''))
        more = message.get('more_body', False)
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-path', scope['path'].encode())]})
    for part in range(3):
        await send({'type': 'http.response.body', 'body': f'{part}:{size};'.encode(), 'more_body': part < 2})
`;

bothWays('an ASGI server (uvicorn --uds) behind our client', async (t, way) => {
  const programs = needs(t, { uvicorn: 'uvicorn' });
  if (programs === null) return;
  const [uvicorn = ''] = programs;
  const place = placeFor(t);
  writeFileSync(path.join(place.folder, 'service.py'), ASGI);
  giveToNobody(place.folder);
  const socket = path.join(place.folder, 'asgi.sock');
  const args = ['--uds', socket, '--no-access-log', '--lifespan', 'off', 'service:app'];
  const server = start(t, uvicorn, args, {
    cwd: place.folder,
    environment: { PYTHONPATH: place.folder },
  });
  await server.logged('Uvicorn running on unix socket');
  const agent =
    way === 'hook'
      ? new Agent({ keepAlive: true, maxSockets: 2 })
      : new http.Agent({ keepAlive: true, maxSockets: 2 });
  t.after(() => agent.destroy());
  const post = async (i: number): Promise<string> => {
    const request = http.request({
      agent,
      socketPath: path.join(place.by[way], 'asgi.sock'),
      path: `/${i}`,
      method: 'POST',
    });
    request.end(Buffer.alloc(100_000 + i));
    const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
    assert.equal(response.headers['x-path'], `/${i}`);
    assert.ok(isOurs(response.socket));
    return (await collected(response)).toString();
  };
  const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => post(i)));
  answers.forEach((text, i) => {
    const size = 100_000 + i;
    assert.equal(text, `0:${size};1:${size};2:${size};`);
  });
});
