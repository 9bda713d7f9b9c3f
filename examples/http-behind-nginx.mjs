// An unmodified node:http server on a Unix socket, behind nginx. Uploads and downloads of 10 MB are compared by hash.
// NGINX=/path/to/nginx names the program if it is not on the PATH.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import net from 'afunix';

const size = 10 * 1024 * 1024;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

// The server: POST answers with the hash of what was uploaded, GET sends `content`.

const content = randomBytes(size);

const httpServer = http.createServer(async (request, response) => {
  if (request.method === 'POST') {
    const hash = createHash('sha256');
    for await (const chunk of request) hash.update(chunk);
    response.end(hash.digest('hex'));
  } else {
    response.end(content);
  }
});

// Any Duplex can be a connection of an HTTP server, so nothing in it has to change.
const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
  httpServer.emit('connection', socket);
});
// An HTTP server starts its time-outs for headers and requests, and its list of connections, on 'listening'.
listener.on('listening', () => httpServer.emit('listening'));
// Keep-alive connections would keep the listener from closing.
const close = () => {
  listener.close();
  httpServer.close();
};

// nginx: its configuration, and the program.

async function startNginx(prefix, front, back) {
  const template = await readFile(new URL('nginx.conf.template', import.meta.url), 'utf8');
  const values = { PREFIX: prefix, FRONT: front, BACK: back };
  const configuration = template.replace(/\{\{(\w+)\}\}/g, (_, name) => values[name]);
  await writeFile(join(prefix, 'nginx.conf'), configuration);

  const program = process.env.NGINX ?? 'nginx';
  const nginx = spawn(program, ['-e', 'stderr', '-p', prefix, '-c', join(prefix, 'nginx.conf')], {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  });
  let log = '';
  await new Promise((resolve, reject) => {
    nginx.stderr.setEncoding('utf8').on('data', (text) => {
      log += text;
      if (log.includes('start worker process')) resolve();
    });
    nginx.on('error', (error) => reject(new Error(`${program} cannot be run`, { cause: error })));
    nginx.on('exit', () => reject(new Error(`nginx ended:\n${log}`)));
  });
  return nginx;
}

// The client talks to nginx.

async function request(front, options, body) {
  const sent = http.request({ socketPath: front, ...options }).end(body);
  const [response] = await once(sent, 'response');
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  if (response.statusCode !== 200) throw new Error(`${options.path}: ${response.statusCode}`);
  return Buffer.concat(chunks);
}

const prefix = await mkdtemp(join(tmpdir(), 'afunix-nginx-'));
await chmod(prefix, 0o755);
const front = join(prefix, 'front.sock');
const back = join(prefix, 'back.sock');
let nginx;
try {
  // nginx may run as another user: it needs write permission on the socket file.
  listener.listen({ path: back, readableAll: true, writableAll: true });
  await once(listener, 'listening');
  nginx = await startNginx(prefix, front, back);

  const compare = (what, same) => {
    console.log(`${what}: ${same ? 'same' : 'DIFFERENT'}`);
    if (!same) process.exitCode = 1;
  };
  for (const path of ['/', '/once/', '/direct/']) {
    const upload = randomBytes(size);
    const hash = await request(front, { method: 'POST', path }, upload);
    compare(`${path} upload`, hash.toString() === sha256(upload));
    compare(`${path} download`, content.equals(await request(front, { path })));
  }
} finally {
  if (nginx?.exitCode === null) {
    nginx.kill('SIGTERM');
    await once(nginx, 'exit');
  }
  close();
  await rm(prefix, { recursive: true, force: true });
}
