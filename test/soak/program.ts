/**
 * One end of the mixed traffic, a process of its own: `node program.js serve FOLDER` or
 * `node program.js converse FOLDER SECONDS SEED`. Says what it did as one line of JSON.
 */
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import net from 'afunix';
import seqpacket from 'afunix/seqpacket';
import { grown, takeCensus } from '../helpers/descriptors';
import { echo, exchange } from './messages';
import { Checker, generator, patternOf, someLength } from './pattern';
import { converse, serve, streamKinds } from './streams';

const [role, folder = '', seconds = '0', seed = '0'] = process.argv.slice(2);
const streamPath = path.join(folder, 'stream');
const messagePath = path.join(folder, 'messages');
const httpPath = path.join(folder, 'http');
const atFirst = takeCensus();
/** Conversations of each kind at a time. */
const ABREAST = 4;

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

function say(line: object): void {
  console.log(JSON.stringify(line));
}

async function serveAll(): Promise<void> {
  const streams = net.createServer({ maxDescriptors: 4, allowHalfOpen: true }, (socket) => {
    serve(socket).catch((error: unknown) => {
      // Torn off in the middle of an echo: no byte of that is wrong.
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'EPIPE')
        return;
      fail(error);
    });
  });
  const messages = seqpacket.createServer({ allowHalfOpen: true }, (socket) => {
    echo(socket).catch(fail);
  });
  const web = http.createServer((request, response) => void request.pipe(response));
  // A machine that stands still for seconds shall not look like a client that has gone away.
  web.keepAliveTimeout = web.requestTimeout = web.headersTimeout = 0;
  const front = net.createServer((socket) => web.emit('connection', socket));
  streams.listen(streamPath);
  messages.listen(messagePath);
  front.listen(httpPath);
  await Promise.all([streams, messages, front].map((server) => once(server, 'listening')));
  say({ listening: true });
  await once(process.stdin.resume(), 'end');
  web.closeIdleConnections();
  for (const server of [streams, messages, front]) server.close();
  await new Promise((resolve) => setTimeout(resolve, 500));
  say({ role, ...net.stats(), grown: grown(atFirst, takeCensus()) });
}

/** A request whose body comes back, over a connection that is kept. */
async function post(agent: http.Agent, given: number): Promise<number> {
  const random = generator(given);
  const length = someLength(random, 300_000);
  const request = http.request({ agent, method: 'POST', path: '/' });
  request.end(patternOf(given, 0, length));
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const checker = new Checker(given);
  for await (const chunk of response as AsyncIterable<Buffer>) checker.push(chunk);
  checker.finish(length);
  return length;
}

/** A thread with an engine of its own, ended in the middle of whatever it does. */
async function endThread(given: number): Promise<number> {
  const source = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const { parentPort } = require('node:worker_threads');
    const pairs = Array.from({ length: 8 }, () => net.socketpair());
    for (const [one, other] of pairs) {
      other.pipe(other);
      one.on('data', (bytes) => one.write(bytes));
      one.write(Buffer.alloc(${someLength(generator(given), 200_000)}));
    }
    parentPort.postMessage('at work');`;
  const worker = new Worker(source, { eval: true });
  await once(worker, 'message');
  await new Promise((resolve) => setTimeout(resolve, given % 20));
  await worker.terminate();
  return 1;
}

async function converseAll(): Promise<void> {
  const until = performance.now() + Number(seconds) * 1000;
  const random = generator(Number(seed));
  const done: Record<string, { conversations: number; amount: number }> = {};
  const agent = new http.Agent({ keepAlive: true, maxSockets: ABREAST });
  agent.createConnection = () => net.connect(httpPath);
  async function goOn(
    name: string,
    conversation: (given: number) => Promise<number>,
  ): Promise<void> {
    const count = (done[name] ??= { conversations: 0, amount: 0 });
    while (performance.now() < until) {
      count.amount += await conversation(Math.floor(random() * 2 ** 31));
      count.conversations += 1;
    }
  }
  const kinds: [string, (given: number) => Promise<number>][] = [
    ...streamKinds.map((kind): [string, (given: number) => Promise<number>] => [
      kind,
      (given) => converse(net, streamPath, kind, given),
    ]),
    ['messages', (given) => exchange(seqpacket, messagePath, given)],
    ['http', (given) => post(agent, given)],
  ];
  await Promise.all([
    ...kinds.flatMap(([name, conversation]) =>
      Array.from({ length: ABREAST }, () => goOn(name, conversation)),
    ),
    goOn('threads', endThread),
  ]);
  agent.destroy();
  await new Promise((resolve) => setTimeout(resolve, 500));
  say({ role, done, ...net.stats(), grown: grown(atFirst, takeCensus()) });
}

process.on('unhandledRejection', fail);
(role === 'serve' ? serveAll() : converseAll()).catch(fail);
