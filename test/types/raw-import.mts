// What a program written with `import` sees of afunix/raw. Compiled, never run.
import type net from 'node:net';
import type { Socket } from 'afunix';
import {
  BATCH_COLUMNS,
  constants,
  Descriptor,
  RawSocket,
  type RawAddress,
  type ReceivedMessage,
} from 'afunix/raw';

const [left, right]: [RawSocket, RawSocket] = RawSocket.socketpair('seqpacket');
const sent: number = left.send(new SharedArrayBuffer(8), 0, 4, constants.MSG_EOR);
const received: number = right.recv(new Float64Array(1));
const message: ReceivedMessage | null = right.recvmsg([new ArrayBuffer(1), Buffer.alloc(1)], {
  descriptors: 1,
});
const descriptor: Descriptor | undefined = message?.descriptors[0];
left.sendmsg(Buffer.alloc(1), { descriptors: [0, left, new Descriptor(0)] });
const table = new Int32Array(BATCH_COLUMNS * 16);
const messages: number = left.sendBatch(Buffer.alloc(64), table) + right.recvBatch(table, table, 4);
const name: RawAddress = left.getsockname();
const connected: boolean = left.connect(name);
const size: number = left.getsockopt('SO_SNDBUF') + left.getsockopt(constants.SOL_SOCKET, 7);
left.setsockopt('SO_PASSCRED', 1);
const events: Promise<number> = left.ref().unref().poll(constants.POLLIN);
const accepted: RawSocket | null = left.accept();
const socket: Socket = left.detach().toSocket({ allowHalfOpen: true });
const plain: net.Socket = new Descriptor(3).toNetSocket();

// @ts-expect-error no such type of socket
RawSocket.socket('dgram');
// @ts-expect-error made by its own functions only
new RawSocket();
// @ts-expect-error bytes, not text
left.send('text');
// @ts-expect-error no such option
left.getsockopt('SO_KEEPALIVES');
// @ts-expect-error numbers are read, not written
constants.MSG_PEEK = 3;
// @ts-expect-error a descriptor is owned, not changed
new Descriptor(3).fd = 4;

export { accepted, connected, descriptor, events, messages, plain, received, sent, size, socket };
