/**
 * What all sockets share, the numbers of descriptors between threads and an engine's receive buffers within one, under those who
 * come and go and those who do not read: nobody takes what is another's, and nothing is used up. AFUNIX_SOAK_MINUTES=30 makes it a
 * campaign.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoneBody, runLone } from '../helpers/lone-process';
import { freshDirectory } from '../helpers/socket-paths';

const minutes = Number(process.env['AFUNIX_SOAK_MINUTES'] ?? '0');
// Of each of the three.
const seconds = minutes > 0 ? minutes * 20 : 2;

interface Parameters {
  readonly folder: string;
  readonly seconds: number;
  readonly afunix: string;
}

/** Each runs in a process of its own and uses nothing else from this file. */
const scenarios: Readonly<Record<string, LoneBody<Parameters>>> = {
  /** A number that one thread gives up is the other's next one. */
  'a thread that drops every connection takes no byte from the sockets of another': async ({
    net,
    require,
    parameters,
    say,
  }) => {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
    const { folder, seconds } = parameters;
    const victim = `
      const net = require('node:net');
      const { parentPort, workerData } = require('node:worker_threads');
      const counts = { asked: 0, answered: 0 };
      let going = true;
      const server = net.createServer((peer) => peer.on('error', () => {}).on('data', (chunk) => peer.end(chunk)));
      const ask = () => {
        if (!going) return;
        counts.asked += 1;
        const socket = net.connect(workerData);
        let answer = '';
        socket.on('error', () => {});
        socket.on('data', (chunk) => (answer += chunk));
        socket.on('close', () => {
          if (answer === 'a question') counts.answered += 1;
          ask();
        });
        socket.write('a question');
      };
      server.listen(workerData, () => {
        for (let abreast = 0; abreast < 20; abreast += 1) ask();
      });
      parentPort.on('message', () => {
        going = false;
        // Whoever has had no answer by then never gets one.
        const patience = setTimeout(() => server.close() && parentPort.postMessage(counts), 20_000);
        const look = setInterval(() => {
          if (counts.answered < counts.asked) return;
          clearTimeout(patience);
          clearInterval(look);
          server.close();
          parentPort.postMessage(counts);
        }, 20);
      });
    `;
    const worker = new Worker(victim, { eval: true, workerData: `${folder}/victim` });
    const server = net.createServer((socket) => socket.destroy());
    server.listen(`${folder}/dropper`);
    let dropped = 0;
    let going = true;
    const connect = (): void => {
      if (!going) return;
      const client = net.connect(`${folder}/dropper`);
      client.on('error', () => undefined);
      client.resume().on('close', () => {
        dropped += 1;
        connect();
      });
    };
    for (let abreast = 0; abreast < 20; abreast += 1) connect();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const told = new Promise<{ asked: number; answered: number }>((resolve) =>
      worker.once('message', resolve),
    );
    worker.postMessage('enough');
    const { asked, answered } = await told;
    going = false;
    server.close();
    await worker.terminate();
    say(`${asked} asked, ${dropped} dropped`);
    say(answered === asked ? 'well' : `${asked - answered} were never answered`);
  },

  /** What arrives together with the end of somebody is neither kept from the others nor left open. */
  'connections that are shed while many others arrive leave nothing open, and nothing to do':
    async ({ net, require, parameters, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const plain = require('node:net') as typeof import('node:net');
      const { folder, seconds } = parameters;
      const sockets = (): number =>
        fs.readdirSync('/proc/self/fd').filter((fd) => {
          try {
            return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
          } catch {
            return false;
          }
        }).length;
      const turn = (milliseconds: number): Promise<void> =>
        new Promise((resolve) => setTimeout(resolve, milliseconds));
      // One that stays.
      const [idle, other] = net.socketpair();
      let heard = 0;
      other.on('data', (chunk: Buffer) => (heard += chunk.length));
      const atFirst = sockets();
      const until = Date.now() + seconds * 1000;
      let rounds = 0;
      let sent = 0;
      do {
        rounds += 1;
        const address = `${folder}/${rounds}`;
        let accepted = 0;
        const server = net.createServer((socket) => {
          socket.on('error', () => undefined);
          accepted += 1;
          // The last ones come when the one who is shed has bytes that nobody has been told of.
          if (accepted === 70) {
            shed.destroy();
            server.close();
          }
          socket.destroy();
        });
        await new Promise<void>((resolve) => server.listen(address, resolve));
        const [shed, writer] = net.socketpair();
        writer.on('error', () => undefined);
        shed.resume();
        await turn(1);
        // At the kernel at once, all of them, before a look at any.
        let gone = 0;
        const clients = Array.from({ length: 200 }, () => {
          const client = plain.connect(address);
          client.on('error', () => undefined).resume();
          client.on('close', () => (gone += 1));
          return client;
        });
        writer.write(Buffer.alloc(3 * 8192));
        idle.write('x');
        sent += 1;
        for (let waited = 0; gone < clients.length && waited < 1000; waited += 1) await turn(10);
        if (gone < clients.length) say(`${clients.length - gone} were never told of the end`);
        writer.destroy();
      } while (Date.now() < until);
      for (let waited = 0; (sockets() > atFirst || heard < sent) && waited < 500; waited += 1) {
        await turn(10);
      }
      await turn(100);
      const before = net.stats();
      await turn(300);
      const { syscalls } = net.stats();
      say(`${rounds} rounds`);
      if (sockets() > atFirst) say(`${sockets() - atFirst} sockets were left open`);
      if (heard < sent) say(`${sent - heard} bytes were lost`);
      say(
        syscalls - before.syscalls <= 4
          ? 'well'
          : `${syscalls - before.syscalls} calls for nothing`,
      );
      idle.destroy();
      other.destroy();
    },

  /** Those who do not read keep what they were sent to themselves. */
  'sockets that do not read cost the others nothing': async ({ net, require, parameters, say }) => {
    const seqpacket = require(
      parameters.afunix.replace(/index\.js$/, 'seqpacket.js'),
    ) as typeof import('afunix/seqpacket');
    const turn = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, milliseconds));
    const until = Date.now() + parameters.seconds * 1000;
    let rounds = 0;
    do {
      rounds += 1;
      const silent = Array.from({ length: 80 }, () => seqpacket.socketpair());
      const streams = Array.from({ length: 5 }, () => net.socketpair());
      const [one, other] = seqpacket.socketpair();
      const [writer, reader] = net.socketpair();
      const got: string[] = [];
      other.on('message', (message: Buffer) => got.push(String(message)));
      reader.on('data', (chunk: Buffer) => got.push(String(chunk)));
      for (const [, second] of silent) second.on('message', () => undefined);
      for (const [, second] of streams) second.resume();
      await turn(1);
      for (const [first, second] of silent) {
        // On its way when its reader stops.
        first.send('one that nobody reads');
        second.pause();
      }
      for (const [first, second] of streams) {
        first.write(Buffer.alloc(150_000));
        second.pause();
      }
      await turn(50);
      const before = net.stats();
      one.send('hello');
      writer.write('there');
      await turn(200);
      const calls = net.stats().syscalls - before.syscalls;
      if (calls > 100) say(`${calls} calls for two messages`);
      if (got.sort().join(' ') !== 'hello there') say(`got ${got.join(' ')}`);
      // They have it when they want it.
      let late = 0;
      for (const [, second] of silent) second.on('message', () => (late += 1)).resume();
      for (const [, second] of streams) {
        second.on('data', (chunk: Buffer) => (late += chunk.length)).resume();
      }
      const all = 80 + 5 * 150_000;
      for (let waited = 0; late < all && waited < 1000; waited += 1) await turn(10);
      if (late !== all) say(`${late} instead of ${all}`);
      for (const pair of [...silent, ...streams, [one, other], [writer, reader]]) {
        for (const end of pair) end.destroy();
      }
    } while (Date.now() < until);
    say(`${rounds} rounds`);
    say('well');
  },
};

for (const [name, body] of Object.entries(scenarios)) {
  test(`${name} (${seconds} s)`, async (t) => {
    const parameters = {
      folder: freshDirectory(t),
      seconds,
      afunix: require.resolve('afunix'),
    };
    const limit = seconds * 1000 + 90_000;
    const lines = await runLone(t, parameters, body, { limit });
    t.diagnostic(lines.join('; '));
    assert.deepEqual(lines.slice(1), ['well']);
  });
}
