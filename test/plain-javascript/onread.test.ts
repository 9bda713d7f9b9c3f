/** `onread` as plain JavaScript writes it: mostly with a callback that returns nothing. */
import type { Socket, SocketConstructorOpts } from 'node:net';
import { scenario, type Stage } from '../conformance/scenario';
import { booleans, elsewhere, plainValues, withThrowingGetter } from '../helpers/plain-values';
import { attempt } from '../helpers/attempt';
import { inChild } from '../helpers/child';
import { happens, pair, tolerate } from '../helpers/sockets';

const lifeEvents = ['data', 'end', 'finish', 'error', 'close'] as const;

const asOptions = (options: object): SocketConstructorOpts => options;

/** Eleven bytes for a socket with this option, whose buffer has room for eight; what the callback saw is in the lane 'reads'. */
async function perform(
  stage: Stage,
  onreadFor: (saw: (length: unknown, buffer: unknown) => void) => unknown,
  whileOpen?: (client: Socket) => Promise<void>,
): Promise<void> {
  const saw = (length: unknown, buffer: unknown): void =>
    stage.trace(
      'reads',
      length,
      Buffer.from(buffer as Uint8Array).toString('latin1', 0, Number(length)),
    );
  const { client, peer } = await pair(stage, { client: asOptions({ onread: onreadFor(saw) }) });
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  peer.end('hello world');
  if (whileOpen === undefined) await closed;
  else await whileOpen(client);
  stage.trace(
    'state',
    client.bytesRead,
    client.destroyed,
    client.readableFlowing,
    client.isPaused(),
  );
}

for (const { name, value } of [...plainValues, ...booleans.filter(({ name }) => name === 'true')]) {
  scenario(`a callback that returns ${name} gets everything`, async (stage) => {
    await perform(stage, (saw) => ({
      buffer: Buffer.alloc(8),
      callback(length: unknown, buffer: unknown) {
        saw(length, buffer);
        return value;
      },
    }));
  });
}

scenario('only false stops the callbacks, until resume()', async (stage) => {
  await perform(
    stage,
    (saw) => ({
      buffer: Buffer.alloc(8),
      callback(length: unknown, buffer: unknown) {
        saw(length, buffer);
        return false;
      },
    }),
    async (client) => {
      await stage.settled();
      stage.trace('state', 'stopped', client.bytesRead, client.isPaused());
      client.resume();
      await stage.settled();
      stage.trace('state', 'stopped again', client.bytesRead, client.isPaused());
      const closed = happens(client, 'close');
      client.resume();
      await closed;
    },
  );
});

scenario('an async callback gets everything', async (stage) => {
  await perform(stage, (saw) => ({
    buffer: Buffer.alloc(8),
    // Its promise is true, whatever comes of it.
    callback: async (length: unknown, buffer: unknown) => {
      saw(length, buffer);
      return false;
    },
  }));
});

scenario('a callback that pauses and resumes at once gets everything', async (stage) => {
  const { client, peer } = await pair(stage, {
    client: asOptions({
      onread: {
        buffer: Buffer.alloc(8),
        callback(length: number, buffer: Buffer) {
          stage.trace('reads', buffer.toString('latin1', 0, length));
          client.pause();
          client.resume();
        },
      },
    }),
  });
  const closed = happens(client, 'close');
  peer.end('hello world');
  await closed;
});

for (const { name, value } of plainValues) {
  scenario(
    `a function that gives ${name} for the second buffer reads into the first again`,
    async (stage) => {
      let asked = 0;
      await perform(stage, (saw) => ({
        buffer: () => ((asked += 1) === 1 ? Buffer.alloc(8) : value),
        callback: saw,
      }));
      stage.trace('asked', asked);
    },
  );
}

scenario('memory of another realm is memory', async (stage) => {
  await perform(stage, (saw) => ({ buffer: elsewhere('new Uint8Array(8)'), callback: saw }));
});

scenario('a callback of another realm is a function', async (stage) => {
  const reads: unknown[] = [];
  const make = elsewhere('(reads) => (length) => { reads.push(length); }') as (
    reads: unknown[],
  ) => unknown;
  await perform(stage, () => ({ buffer: Buffer.alloc(8), callback: make(reads) }));
  stage.trace('reads', reads);
});

scenario('a frozen option, and one behind a proxy', async (stage) => {
  const option = (saw: unknown): object => ({ buffer: Buffer.alloc(8), callback: saw });
  await perform(stage, (saw) => Object.freeze(option(saw)));
  await perform(stage, (saw) => new Proxy(option(saw), {}));
});

scenario('the callback is called on the socket, with two arguments', async (stage) => {
  let socket: unknown;
  await perform(
    stage,
    () => ({
      buffer: Buffer.alloc(64),
      callback(this: unknown, ...given: unknown[]) {
        stage.trace('call', this === socket, given.length);
      },
    }),
    async (client) => {
      socket = client;
      await happens(client, 'close');
    },
  );
});

for (const missing of ['buffer', 'callback'] as const) {
  for (const { name, value } of plainValues.filter(({ name }) => name !== 'a function')) {
    scenario(`with ${name} for its ${missing} it is the same as none`, async (stage) => {
      await perform(
        stage,
        (saw) => ({ buffer: Buffer.alloc(8), callback: saw, [missing]: value }),
        async (client) => {
          client.resume();
          await happens(client, 'close');
        },
      );
    });
  }
}

for (const { name, value } of plainValues) {
  scenario(`onread: ${name} is the same as none`, async (stage) => {
    await perform(
      stage,
      () => value,
      async (client) => {
        client.resume();
        await happens(client, 'close');
      },
    );
  });
}

scenario('a getter that throws throws where the socket is made', async (stage) => {
  const buffer = Buffer.alloc(8);
  const callback = (): void => undefined;
  for (const onread of [
    withThrowingGetter('buffer', { callback }),
    withThrowingGetter('callback', { buffer }),
  ]) {
    const make = (): Socket => new stage.net.Socket(asOptions({ onread }));
    stage.trace('made', attempt(make));
  }
  stage.trace(
    'made',
    attempt(() => new stage.net.Socket(asOptions(withThrowingGetter('onread')))),
  );
});

scenario('a callback that throws is told once, and goes on', async (stage) => {
  const { code, stdout, stderr } = await inChild(
    stage,
    stage.address(),
    ({ net, address, say }) => {
      process.on('uncaughtException', (error) => say(`uncaught: ${error.message}`));
      const server = net
        .createServer((peer) => peer.end('hello world'))
        .listen(address, () => {
          let calls = 0;
          const callback = (length: number, buffer: Uint8Array): void => {
            say(Buffer.from(buffer).toString('latin1', 0, length));
            calls += 1;
            if (calls === 1) throw new Error('the first');
          };
          const onread = { buffer: Buffer.alloc(8), callback };
          const client = net.connect({ path: address, onread } as never);
          client.on('close', (failed) => {
            say(`close ${failed}`);
            server.close();
          });
        });
    },
  );
  stage.trace('child', code, stdout, stderr);
});

scenario('a callback that destroys its socket, twice, is not called again', async (stage) => {
  const { client, peer } = await pair(stage, {
    client: asOptions({
      onread: {
        buffer: Buffer.alloc(8),
        callback(length: number) {
          stage.trace('reads', length);
          client.destroy();
          client.destroy(new Error('too late'));
        },
      },
    }),
  });
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  tolerate(peer);
  peer.write('hello world');
  await closed;
});
