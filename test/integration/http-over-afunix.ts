/** An unmodified `node:http` server that gets its connections from afunix, in each of the ways that the documentation shows. */
import http from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import net from 'afunix';
import { serve } from 'afunix/http';
import { closed, happens } from './support';

/** From a server of afunix's by 'connection'; from serve(); by its own listen() under register, for paths that ways.ts names. */
export type HttpWay = 'connection' | 'serve' | 'register';

export interface HttpEnd {
  readonly http: http.Server;
  /** Connections accepted so far. */
  readonly connections: Socket[];
  /** Stops listening, and lets idle connections go; resolves when the last one has gone. */
  close(): Promise<void>;
}

export interface HttpEndOptions extends http.ServerOptions {
  readonly path: string;
  readonly way?: HttpWay;
}

export async function serveHttp(
  t: TestContext,
  options: HttpEndOptions,
  handler: http.RequestListener,
): Promise<HttpEnd> {
  const { path, way = 'connection', ...httpOptions } = options;
  const server = http.createServer(httpOptions, handler);
  const connections: Socket[] = [];
  server.on('connection', (socket: Socket) => connections.push(socket));
  // Another user's nginx needs write permission on the socket file; an abstract name has no permissions.
  const modes = path.startsWith('\0') ? {} : { readableAll: true, writableAll: true };
  const listener = way === 'connection' ? listenerFor(server) : server;
  if (way === 'serve') serve(server, { path, ...modes });
  else listener.listen({ path, ...modes });
  await happens(listener, 'listening');
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closed(listener);
    if (listener !== server) server.close();
    return closing;
  };
  t.after(async () => {
    for (const socket of connections) socket.destroy();
    await close();
  });
  return { http: server, connections, close };
}

function listenerFor(server: http.Server): net.Server {
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    server.emit('connection', socket);
  });
  // The time-outs of the HTTP server and its list of connections begin with this event.
  listener.on('listening', () => server.emit('listening'));
  return listener;
}
