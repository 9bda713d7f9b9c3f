/** States in which a worker is terminated. Each function runs in the worker and uses nothing else. */
import type { Afunix } from '../helpers/lone-process';

export interface WorkerContext {
  readonly net: Afunix;
  /** Of the worker's own. */
  readonly address: string;
  /** Of a server whose backlog is full. */
  readonly full: string;
  /** To be called when the state is reached. */
  ready(): void;
}

type State = (context: WorkerContext) => void;

export const workerStates: Readonly<Record<string, State>> = {
  'just loaded': ({ ready }) => ready(),

  listening: ({ net, address, ready }) => {
    net.createServer().listen(address, ready);
  },

  'connecting to a full backlog': ({ net, full, ready }) => {
    for (let count = 0; count < 5; count += 1) net.connect(full);
    setImmediate(ready);
  },

  'accepted and idle': ({ net, address, ready }) => {
    net.createServer(() => setImmediate(ready)).listen(address);
    net.connect(address);
  },

  'with writes held back': ({ net, address, ready }) => {
    net.createServer((peer) => peer.pause()).listen(address);
    const client = net.connect(address, () => {
      for (let count = 0; count < 100; count += 1) client.write(Buffer.alloc(16_000));
      setImmediate(ready);
    });
  },

  'with a long write under way': ({ net, address, ready }) => {
    net.createServer((peer) => peer.pause()).listen(address);
    const client = net.connect(address, () => {
      client.write(Buffer.alloc(8 << 20));
      setImmediate(ready);
    });
  },

  "in 'data'": ({ net, address, ready }) => {
    const server = net.createServer((peer) => {
      peer.on('data', () => {
        ready();
        for (;;);
      });
    });
    server.listen(address);
    net.connect(address).write('x');
  },

  "in 'connection'": ({ net, address, ready }) => {
    const server = net.createServer(() => {
      ready();
      for (;;);
    });
    server.listen(address);
    net.connect(address);
  },

  'in the callback of a write': ({ net, address, ready }) => {
    net.createServer((peer) => peer.resume()).listen(address);
    net.connect(address).write('x', () => {
      ready();
      for (;;);
    });
  },

  'in a tick after an event': ({ net, address, ready }) => {
    const spin = (): void => {
      ready();
      for (;;);
    };
    const server = net.createServer((peer) => peer.on('data', () => process.nextTick(spin)));
    server.listen(address);
    net.connect(address).write('x');
  },

  'reading into memory of its own': ({ net, address, ready }) => {
    net.createServer((peer) => void peer.write(Buffer.alloc(1 << 20))).listen(address);
    const onread = {
      buffer: Buffer.alloc(64 << 10),
      callback: () => {
        ready();
        return true;
      },
    };
    net.connect({ path: address, onread });
  },

  'exchanging messages': ({ net, address, ready }) => {
    let messages = 0;
    net.createServer((peer) => peer.pipe(peer)).listen(address);
    const client = net.connect(address);
    client.on('data', (chunk) => {
      client.write(chunk);
      if ((messages += 1) === 10) ready();
    });
    client.write('x');
  },

  'with connections coming and going': ({ net, address, ready }) => {
    let closed = 0;
    net.createServer((peer) => peer.end('x')).listen(address);
    const connect = (): void => {
      const client = net.connect(address).resume();
      client.on('close', () => {
        if ((closed += 1) === 10) ready();
        connect();
      });
    };
    for (let count = 0; count < 5; count += 1) connect();
  },

  'busy polling': ({ net, address, ready }) => {
    net.configure({ busyPoll: 1_000_000 });
    net.createServer((peer) => peer.on('data', () => setImmediate(ready))).listen(address);
    net.connect(address).write('x');
  },
};
