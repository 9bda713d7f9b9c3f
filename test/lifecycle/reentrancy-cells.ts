/** The matrix of re-entrancy: places in which user code runs, and what it does there. */
import type { Server, Socket } from 'node:net';
import type { Afunix } from '../helpers/lone-process';

export interface CellContext {
  readonly net: Afunix;
  /** A fresh address. */
  fresh(): string;
  /** Of the server that everybody is connected to. */
  readonly server: Server;
  readonly address: string;
  /** Connected sockets that take no part; some of them have events in the same batch. */
  readonly others: readonly Socket[];
  /** Sees to it that the socket is closed in the end. */
  keep(socket: Socket): Socket;
  /** The cell isn't over before this is. */
  until(promise: Promise<unknown>): void;
}

/** Brings a socket into the place and calls `act` there, once; what happens after that is the action's. */
type Place = (context: CellContext, act: (victim: Socket) => void) => void;

/** Does something with the victim, from inside a callback of its. */
type Action = (victim: Socket, context: CellContext) => void;

/** Functions here run in another process and use nothing else from this file. */
export const places: Readonly<Record<string, Place>> = {
  "'connection'": ({ net, server, address, keep }, act) => {
    server.once('connection', act);
    keep(net.connect(address));
  },
  "'connect'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address, () => act(client)));
  },
  "'ready'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address).on('ready', () => act(client)));
  },
  "'data'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address).once('data', () => act(client)));
    client.write('x');
  },
  "'readable'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address).once('readable', () => act(client)));
    client.write('x');
  },
  'the callback of onread': ({ net, address, keep }, act) => {
    let first = true;
    const callback = (): boolean => {
      if (first) act(client);
      return !(first = false);
    };
    const client = keep(
      net.connect({ path: address, onread: { buffer: Buffer.alloc(64), callback } }),
    );
    client.write('x');
  },
  'the second chunk of a long read': ({ net, address, keep }, act) => {
    let chunks = 0;
    const client = keep(net.connect(address));
    client.on('data', () => {
      if ((chunks += 1) === 2) act(client);
    });
    client.write(Buffer.alloc(300_000));
  },
  "'drain'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address)).resume();
    client.once('drain', () => act(client));
    client.on('connect', () => client.write(Buffer.alloc(1_000_000)));
  },
  "'end'": ({ net, address, keep }, act) => {
    const client = keep(net.connect({ path: address, allowHalfOpen: true })).resume();
    client.on('end', () => act(client)).end('x');
  },
  "'finish'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address)).resume();
    client.on('finish', () => act(client)).end('x');
  },
  "'close'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address)).resume();
    client.on('close', () => act(client)).end('x');
  },
  "'error'": ({ net, fresh, keep }, act) => {
    const client = keep(net.connect(fresh()));
    client.once('error', () => act(client));
  },
  "'timeout'": ({ net, address, keep }, act) => {
    const client = keep(net.connect(address));
    client.once('timeout', () => act(client)).setTimeout(2);
  },
  'the callback of a write': ({ net, address, keep }, act) => {
    const client = keep(net.connect(address)).resume();
    client.on('connect', () => client.write('x', () => act(client)));
  },
  'the callback of a long write': ({ net, address, keep }, act) => {
    const client = keep(net.connect(address)).resume();
    client.on('connect', () => client.write(Buffer.alloc(1_000_000), () => act(client)));
  },
  'a microtask after an event': ({ net, address, keep }, act) => {
    const client = keep(net.connect(address));
    client.once('data', () => queueMicrotask(() => act(client))).write('x');
  },
  'a tick after an event': ({ net, address, keep }, act) => {
    const client = keep(net.connect(address));
    client.once('data', () => process.nextTick(() => act(client))).write('x');
  },
};

export const actions: Readonly<Record<string, Action>> = {
  throw: () => {
    throw new Error('thrown on purpose');
  },
  reject: () => void Promise.reject(new Error('thrown on purpose')),
  pause: (victim) => {
    victim.pause();
    setImmediate(() => victim.resume());
  },
  resume: (victim) => void victim.resume(),
  // eslint-disable-next-line @typescript-eslint/no-unsafe-return -- programs under test do such things
  read: (victim) => victim.read(),
  write: (victim) => void victim.write('more'),
  'write a lot': (victim) => void victim.write(Buffer.alloc(2_000_000)),
  end: (victim) => void victim.end(),
  'end with bytes': (victim) => void victim.end('the end'),
  destroy: (victim) => void victim.destroy(),
  'destroy with an error': (victim) => void victim.destroy(new Error('why not')),
  'destroy another socket': (_victim, { others }) => void others[0]?.destroy(),
  'destroy every socket': (victim, { others }) => {
    victim.destroy();
    for (const other of others) other.destroy();
  },
  'write to every socket': (_victim, { others }) => {
    for (const other of others) if (other.writable) other.write('!');
  },
  'pause every socket': (_victim, { others }) => {
    for (const other of others) other.pause();
    setImmediate(() => others.forEach((other) => other.resume()));
  },
  'close the server': (_victim, { server }) => void server.close(),
  'close the server and listen anew': (_victim, { server, address, until }) => {
    until(
      new Promise<void>((resolve) => {
        server.once('listening', resolve);
        // Connections keep the server from being closed; the address is free at once.
        server.close();
        server.listen(address);
      }),
    );
  },
  'open a connection': (_victim, { net, address, keep, until }) => {
    until(
      new Promise<void>((resolve) => {
        const socket = keep(net.connect(address));
        socket.on('data', () => resolve()).write('x');
      }),
    );
  },
  'open another server': (_victim, { net, fresh, keep, until }) => {
    const address = fresh();
    until(
      new Promise<void>((resolve) => {
        const server = net.createServer((peer) => {
          keep(peer).end();
          server.close(() => resolve());
        });
        server.listen(address);
        keep(net.connect(address)).resume();
      }),
    );
  },
  'collect garbage': () => (globalThis as unknown as { gc(): void }).gc(),
  'block for a while': () => {
    const until = performance.now() + 2;
    while (performance.now() < until);
  },
};
