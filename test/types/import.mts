// What a program written with `import` sees. Compiled, never run.
import { subscribe } from 'node:diagnostics_channel';
import { type Duplex, Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type nodeNet from 'node:net';
import net, {
  configure,
  connect,
  createConnection,
  createServer,
  features,
  formatAddress,
  isIP,
  parseAddress,
  Server,
  Socket,
  stats,
  type DescriptorsInfo,
  type DiagnosticsMessages,
} from 'afunix';
import type { Descriptor } from 'afunix/raw';

const takesNumber = (_: number): void => {};
const takesText = (_: string): void => {};
const takesDuplex = (_: Duplex): void => {};
const takesWritable = (_: Writable): void => {};

// A socket goes wherever a stream is wanted.
const socket = connect('/run/x.sock');
takesDuplex(socket);
takesWritable(socket);
void pipeline(Readable.from(['x']), socket);
takesDuplex(new Socket());
takesDuplex(net.createConnection({ path: '/run/x.sock' }));
const same: Socket = createConnection('/run/x.sock', () => {});
same.on('data', (chunk) => chunk.length);
same.on('error', (error) => error.message);
same.once('close', (hadError: boolean) => hadError);

// What net does not have is typed however it is listened to, and the chain goes on.
for (const method of [
  'on',
  'once',
  'addListener',
  'prependListener',
  'prependOnceListener',
] as const) {
  const again: Socket = same[method]('descriptors', (descriptors, { offset, end }) => {
    for (const descriptor of descriptors) descriptor.close();
    takesNumber(offset + end);
    // @ts-expect-error it is an array of Descriptors
    takesText(descriptors);
  });
  again[method]('credentials', (writer, { offset }) => takesNumber(writer.uid + offset));
}
const heard = (descriptors: Descriptor[], info: DescriptorsInfo): number =>
  descriptors.length + info.end;
void same.off('descriptors', heard).removeListener('descriptors', heard).flushed();

// The verbs chain as net's do.
const chained: Socket = same.setTimeout(10).ref().unref().setNoDelay().setKeepAlive();
const wrote: boolean = chained.write('x', 'utf8', () => {});
const bytes: number = chained.bytesRead + chained.bytesWritten;

const server: Server = createServer({ allowHalfOpen: true }, (connection) => {
  const accepted: Socket = connection;
  accepted.pipe(accepted);
});
server.listen({ path: '/run/x.sock', mode: 0o660 }, () => {});
const constructed: Server = new Server();
server.listen(8080, '127.0.0.1');
server.on('connection', (connection) => connection.end());
server.close((error) => error?.message);

// TCP and IP are node:net's own.
const version: number = isIP('::1');
const list: nodeNet.BlockList = new net.BlockList();

// Either kind of address.
server.listen('tcp://127.0.0.1:80', 100, () => {});
server.listen({ ...parseAddress('unix:/run/x.sock'), backlog: 100 });
same.connect({ ...parseAddress('tcp://[::1]:80'), noDelay: true });
net.connect({ ...net.parseAddress('unix:/run/x.sock'), connectTimeout: 10 });
const written: string = formatAddress({ address: '::1', port: 80 }) + formatAddress('/run/x.sock');
// @ts-expect-error an address is a string
parseAddress(80);
// @ts-expect-error a port alone is none
formatAddress({ port: 80 });

// What afunix adds.
const engine: 'epoll' | 'io_uring' | 'net' = stats().engine;
const roundTrips: number = stats().wakeups;
configure({ engine: 'epoll', busyPoll: 50 });

// What our diagnostics channels are told.
type Refused = DiagnosticsMessages['afunix.server.refused'];
subscribe('afunix.server.refused', (message) => {
  const { peer, refusal } = message as Refused;
  takesText(`${peer.uid} ${refusal.code}`);
});
const started: DiagnosticsMessages['afunix.engine'] = { engine: 'epoll' };
// @ts-expect-error there is no such channel
export type None = DiagnosticsMessages['afunix.weather'];

// @ts-expect-error no such engine
configure({ engine: 'kqueue' });
// @ts-expect-error a path is a string
connect({ path: 7 });
// @ts-expect-error stats are read, not written
stats().engine = 'epoll';
// @ts-expect-error nothing like this exists
net.createTunnel();

export { bytes, constructed, engine, features, list, roundTrips, started, version, written, wrote };

// `net.Socket` is a type as well, as it is with `node:net`.
export function describe(socket: net.Socket, server: net.Server): string {
  return `${socket.bytesRead} ${String(server.listening)}`;
}
