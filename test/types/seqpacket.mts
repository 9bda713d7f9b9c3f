// What a program written with `import` sees of afunix/seqpacket. Compiled, never run.
import type { Duplex } from 'node:stream';
import type { Descriptor } from 'afunix/raw';
import seqpacket, {
  connect,
  createServer,
  MessageRing,
  Server,
  Socket,
  socketpair,
  type DescriptorLike,
  type Message,
  type MessageBatch,
  type MessageInfo,
  type MessageOptions,
} from 'afunix/seqpacket';

const options: MessageOptions = {
  maxMessageSize: 1,
  batchSize: 2,
  highWaterMark: 3,
  maxDescriptors: 4,
};
const server: Server = createServer({ ...options, pauseOnConnect: true }, (socket) => {
  const accepted: Socket = socket;
  accepted.on('message', (bytes, info) => {
    const cut: boolean = info.truncated;
    const sent: boolean = accepted.send(bytes, (error) => error?.message);
    return [cut, sent];
  });
});
server.listen({ path: '/run/x.sock', backlog: 3 }, () => {}).on('drop', (error) => error?.message);
new Server((socket) => socket.end());

const socket: Socket = connect({ path: '/run/x.sock', maxMessageSize: 9 }, () => {});
socket.once('close', (hadError) => !hadError);
const messages: Message[] = ['x', new Uint8Array(1), new DataView(new ArrayBuffer(1))];
socket.sendBatch(messages);
for await (const batch of socket.batches({ memory: 'borrowed' })) {
  const one: MessageBatch = batch;
  const info: MessageInfo = one.info(0);
  const columns: Int32Array[] = [one.offsets, one.lengths, one.fullLengths, one.flags];
  columns.push(one.descriptorCounts);
  const taken: Descriptor[] = one.takeDescriptors(0);
  const seen: readonly Descriptor[] = info.descriptors;
  socket.sendDescriptors(
    [...taken, ...seen, 0, { fd: 1 }] satisfies DescriptorLike[],
    'x',
    () => {},
  );
  for (const message of one) message.readUInt8(info.fullLength + columns.length);
  one.release();
}
const [a, b] = socketpair(options);
const duplex: Duplex = a.toDuplex();
const readable: ReadableStream<Uint8Array> = b.toWeb().readable;
const memory = new SharedArrayBuffer(1);
socket.receiveInto(memory);
for (const batch of new MessageRing(memory)) batch.length.toFixed();
new seqpacket.Socket({ fd: 3 }).pause().resume().ref().unref().setTimeout(1);

// @ts-expect-error text is no descriptor
socket.sendDescriptors(['0'], 'x');
// @ts-expect-error a number is no message
socket.send(5);
// @ts-expect-error there is no such memory
socket.batches({ memory: 'mine' });
// @ts-expect-error for AcceptedOptions there is no way in
new Socket({ connection: 1 });

export { duplex, readable };
