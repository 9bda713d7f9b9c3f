import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import * as path from 'node:path';

import { needProgram, startHelper } from '../helper-program.js';
import { afunix } from './afunix.js';
import type { Connection, Endpoint, JavaScriptContender } from './contender.js';
import { connectNet } from './net.js';
import { netTcp } from './net-tcp.js';
import { netUnix } from './net-unix.js';

const KEPT_ALIVE = 64;

const STREAM_MODULES = [
  '/usr/lib/nginx/modules',
  '/usr/share/nginx/modules',
  '/usr/lib64/nginx/modules',
];

/** As nginx names an upstream. */
function upstream(endpoint: Endpoint): string {
  return 'path' in endpoint ? `unix:${endpoint.path}` : `${endpoint.host}:${endpoint.port}`;
}

function httpConfiguration(server: string, port: number, folder: string): string {
  const bodies = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
http {
  access_log off;
  ${bodies.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  upstream behind { server ${server}; keepalive ${KEPT_ALIVE}; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000000;
    location / {
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}`;
}

function streamConfiguration(server: string, port: number): string {
  return `
stream {
  server {
    listen 127.0.0.1:${port};
    tcp_nodelay on;
    proxy_pass ${server};
  }
}`;
}

/**
 * What makes nginx pass on bytes as they are: in many distributions a module and a package of its
 * own, elsewhere built in.
 */
function loadStreamModule(): string {
  const file = STREAM_MODULES.map((folder) => `${folder}/ngx_stream_module.so`).find(existsSync);
  if (file !== undefined) return `load_module ${file};`;
  if (/--with-stream(\s|$)/.test(spawnSync('nginx', ['-V'], { encoding: 'utf8' }).stderr))
    return '';
  throw new Error('nginx has no stream module (apt-get install libnginx-mod-stream)');
}

async function startNginx(
  endpoint: Endpoint,
  socketPath: string,
  blocks: (server: string, port: number, folder: string) => string,
  head = '',
): Promise<Endpoint> {
  const folder = mkdtempSync(path.join(path.dirname(socketPath), 'nginx-'));
  const port = await startHelper((port) => {
    const file = path.join(folder, 'nginx.conf');
    const lines = [
      head,
      'daemon off; master_process off; worker_processes 1;',
      `pid ${folder}/nginx.pid; error_log stderr crit;`,
      'events { worker_connections 4096; }',
      blocks(upstream(endpoint), port, folder),
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return ['nginx', '-p', folder, '-e', 'stderr', '-c', file];
  });
  return { host: '127.0.0.1', port };
}

/** A server behind nginx, which runs on the server's core; its CPU is not in the server's figure. */
function behindNginx(
  behind: JavaScriptContender,
  id: string,
  title: string,
  means: Pick<JavaScriptContender, 'listen' | 'http'>,
  need: () => void,
): JavaScriptContender {
  return {
    ...behind,
    id,
    title,
    baselines: behind === netUnix ? [] : [id.replace(behind.id, netUnix.id)],
    onRequest: true,
    descriptors: undefined,
    probe: () => {
      needProgram('nginx', '-v', 'apt-get install nginx');
      need();
      return behind.probe();
    },
    connect: connectNet,
    ...means,
  };
}

/** nginx speaks HTTP with both sides. */
function behindHttp(behind: JavaScriptContender): JavaScriptContender {
  const id = `nginx-${behind.id}`;
  const { http } = behind;
  const listen = async (server: Server, socketPath: string): Promise<Endpoint> => {
    if (!http) throw new Error(`${behind.id} does not run under node:http`);
    return startNginx(await http.listen(server, socketPath), socketPath, httpConfiguration);
  };
  const means = { listen: behind.listen, http: { listen, connect: connectNet } };
  return behindNginx(behind, id, `${behind.title}, behind nginx`, means, () => {});
}

/** nginx passes on bytes as they are. */
function behindStream(behind: JavaScriptContender): JavaScriptContender {
  const id = `nginx-stream-${behind.id}`;
  const listen = async (
    socketPath: string,
    onConnection: (connection: Connection) => void,
  ): Promise<Endpoint> => {
    const endpoint = await behind.listen(socketPath, onConnection);
    return startNginx(endpoint, socketPath, streamConfiguration, loadStreamModule());
  };
  const title = `${behind.title}, behind nginx's stream`;
  return behindNginx(behind, id, title, { listen, http: undefined }, loadStreamModule);
}

const servers = [netTcp, netUnix, afunix];
export const nginxContenders = [...servers.map(behindHttp), ...servers.map(behindStream)];
