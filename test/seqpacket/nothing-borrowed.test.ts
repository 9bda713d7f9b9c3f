/**
 * A plain message carries nothing but itself, whatever its sender has just received from somebody else: no descriptor,
 * no identity, and no error of theirs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { RawSocket, type ReceivedMessage } from 'afunix/raw';
import type { ServerOptions, Socket } from 'afunix/seqpacket';
import { open } from '../helpers/passed-descriptors';
import { listening, until } from './support';

/** Everything that comes with messages, taken in by a program of the plainest kind. */
function everything(peer: RawSocket): { text: string; message: ReceivedMessage }[] {
  const buffer = Buffer.alloc(4096);
  const received: { text: string; message: ReceivedMessage }[] = [];
  for (;;) {
    const message = peer.recvmsg(buffer, { descriptors: 253, credentials: true });
    if (message === null || message.end) return received;
    received.push({ text: buffer.toString('utf8', 0, message.bytes), message });
  }
}

interface Meeting {
  readonly path: string;
  /** The peer that only listens, and the server's end of its connection. */
  readonly bystander: RawSocket;
  /** Texts of the messages that the server received. */
  readonly heard: string[];
  readonly troubles: Error[];
}

/** A server that answers a bystander whenever anybody else says something. */
async function meeting(t: TestContext, options: ServerOptions): Promise<Meeting> {
  const heard: string[] = [];
  const troubles: Error[] = [];
  let bystandersEnd: Socket | undefined;
  const { path } = await listening(t, options, (peer) => {
    peer.on('error', (error) => troubles.push(error));
    if (bystandersEnd === undefined) {
      bystandersEnd = peer;
      return;
    }
    peer.on('message', (message, info) => {
      heard.push(message.toString());
      for (const descriptor of info.descriptors) descriptor.close();
      bystandersEnd?.send(`heard ${message.toString()}`, (error) => {
        if (error) troubles.push(error);
      });
    });
  });
  const bystander = RawSocket.socket('seqpacket');
  t.after(() => bystander.close());
  bystander.setsockopt('SO_PASSCRED', 1);
  bystander.connect(path);
  await until(() => bystandersEnd !== undefined);
  return { path, bystander, heard, troubles };
}

/** What the bystander has when so many messages were heard, compared with what it was told. */
async function onlyWhatWasSaid(
  { bystander, heard, troubles }: Meeting,
  count: number,
): Promise<void> {
  const received: ReturnType<typeof everything> = [];
  await until(() => {
    received.push(...everything(bystander));
    return received.length >= count || troubles.length > 0;
  });
  assert.deepEqual(troubles, []);
  assert.deepEqual(
    received.map(({ text }) => text),
    heard.map((text) => `heard ${text}`),
  );
  for (const { message } of received) {
    assert.equal(message.descriptors.length, 0, 'somebody else’s descriptor');
    assert.equal(message.controlTruncated, false);
    assert.equal(message.credentials?.pid, process.pid, 'somebody else’s identity');
  }
}

const BURSTS: readonly (readonly [name: string, options: ServerOptions, counts: number[]])[] = [
  ['one descriptor each', { maxDescriptors: 1 }, [1, 19, 38, 57]],
  ['64 descriptors each at most', { maxDescriptors: 64 }, [1, 4, 8]],
  ['as many descriptors as there can be', { maxDescriptors: 253 }, [1, 2]],
  ['short messages', { maxDescriptors: 1, maxMessageSize: 1000 }, [64, 128]],
];

for (const [name, options, counts] of BURSTS) {
  test(`a plain message carries no descriptor that came to its sender: ${name}`, async (t) => {
    const met = await meeting(t, options);
    const file = open(t, 'for the server alone');
    const giver = RawSocket.socket('seqpacket');
    giver.connect(met.path);
    let said = 0;
    for (const count of counts) {
      for (let i = 0; i < count; i++) {
        const bytes = Buffer.from(String(said));
        while (giver.sendmsg(bytes, { descriptors: [file] }) < 0) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        said++;
      }
      await until(() => met.heard.length === said || met.troubles.length > 0);
    }
    await onlyWhatWasSaid(met, said);
    giver.close();
  });
}

for (const passCredentials of [true, 'pidfd'] as const) {
  for (const count of [1, 64, 128]) {
    test(`nor who sent to its sender: passCredentials ${passCredentials}, ${count} messages`, async (t) => {
      const met = await meeting(t, { passCredentials, maxMessageSize: 1000 });
      const program = `const { RawSocket } = require('afunix/raw');
        const socket = RawSocket.socket('seqpacket');
        socket.connect(${JSON.stringify(met.path)});
        for (let i = 0; i < ${count}; i++) socket.send(Buffer.from(String(i)));
        process.stdin.resume().on('end', () => process.exit());`;
      const giver = spawn(process.execPath, ['-e', program], {
        stdio: ['pipe', 'inherit', 'inherit'],
      });
      t.after(() => giver.kill('SIGKILL'));
      await until(() => met.heard.length === count || met.troubles.length > 0);
      await onlyWhatWasSaid(met, count);
      giver.stdin?.end();
    });
  }
}
