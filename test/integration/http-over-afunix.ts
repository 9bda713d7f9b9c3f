/** An unmodified `node:http` server that gets its connections from afunix, as the documentation shows it. */
import http from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import net from 'afunix';
import { closed, happens } from './support';

export interface HttpEnd {
  readonly http: http.Server;
  /** Connections accepted so far. */
  readonly connections: Socket[];
  /** Stops listening, and lets idle connections go; resolves when the last one has gone. */
  close(): Promise<void>;
}

export interface HttpEndOptions extends http.ServerOptions {
  readonly path: string;
}

export async function serveHttp(
  t: TestContext,
  options: HttpEndOptions,
  handler: http.RequestListener,
): Promise<HttpEnd> {
  const { path, ...httpOptions } = options;
  const server = http.createServer(httpOptions, handler);
  const connections: Socket[] = [];
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    connections.push(socket);
    server.emit('connection', socket);
  });
  // The time-outs of the HTTP server and its list of connections begin with this event.
  listener.on('listening', () => server.emit('listening'));
  // Another user's nginx needs write permission on the socket file; an abstract name has no permissions.
  const modes = path.startsWith('\0') ? {} : { readableAll: true, writableAll: true };
  listener.listen({ path, ...modes });
  await happens(listener, 'listening');
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closed(listener);
    server.close();
    return closing;
  };
  t.after(async () => {
    for (const socket of connections) socket.destroy();
    await close();
  });
  return { http: server, connections, close };
}
