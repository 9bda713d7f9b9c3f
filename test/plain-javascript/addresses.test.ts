/** An address that is not set: a variable of the environment that nobody defined, an empty line of a configuration. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { formatAddress, parseAddress, type Address } from 'afunix';
import { Agent, connector, serve, type AgentOptions } from 'afunix/http';
import { RawSocket } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';
import { attempt } from '../helpers/attempt';

interface Refused extends Error {
  code?: string;
}

/** Nothing, in every form in which it can be given. */
const nothing: Readonly<Record<string, unknown>> = {
  undefined,
  null: null,
  "''": '',
  NaN,
  'a number': 0,
  false: false,
  '{}': {},
  '[]': [],
  '{ path: undefined }': { path: undefined },
  '{ path: null }': { path: null },
  "{ path: '' }": { path: '' },
  '{ port: undefined }': { port: undefined },
  '{ port: null }': { port: null },
  "{ port: '' }": { port: '' },
  '{ path: undefined, port: undefined }': { path: undefined, port: undefined },
  '{ host: undefined }': { host: undefined },
};

const raw = (act: (socket: RawSocket) => unknown): void => {
  const socket = RawSocket.socket('stream');
  try {
    act(socket);
  } finally {
    socket.close();
  }
};

const servers = [() => net.createServer(), () => http.createServer()];

const takers: Readonly<Record<string, (address: never) => unknown>> = {
  'serve()': (address) => {
    for (const make of servers) {
      const server = make();
      const error = attempt(() => serve(server, address));
      assert.equal(server.listening, false);
      server.close();
      if (error instanceof Error) throw error;
    }
  },
  'connector()': (address) => connector(address),
  'seqpacket.connect()': (address) => seqpacket.connect(address),
  'seqpacket.Server.listen()': (address) => seqpacket.createServer().listen(address),
  'RawSocket.bind()': (address) => raw((socket) => socket.bind(address)),
  'RawSocket.connect()': (address) => raw((socket) => socket.connect(address)),
  'parseAddress()': (address) => parseAddress(address),
  'formatAddress()': (address: Address) => formatAddress(address),
};

for (const [taker, take] of Object.entries(takers)) {
  test(`${taker} refuses an address that is none, and says so`, () => {
    for (const [name, value] of Object.entries(nothing)) {
      const error = attempt(() => take(value as never)) as Refused;
      assert.ok(error instanceof Error, `${name} is taken`);
      assert.match(
        String(error.code),
        /^ERR_INVALID_ARG_(?:TYPE|VALUE)$/,
        `${name}: ${error.stack}`,
      );
    }
  });
}

test('an agent refuses a place that is given and not set', () => {
  for (const name of ['socketPath', 'address'] as const) {
    for (const value of [undefined, null, '', 0, {}]) {
      const options = { [name]: value } as unknown as AgentOptions;
      const error = attempt(() => new Agent(options)) as Refused;
      assert.match(
        String(error.code),
        /^ERR_INVALID_ARG_(?:TYPE|VALUE)$/,
        `${name}: ${String(value)}`,
      );
    }
  }
  new Agent().destroy();
  new Agent({ keepAlive: true }).destroy();
});

test('serve() on a path takes no notice of a port that is not set', async () => {
  const path = `\0afunix-test-${process.pid}-no-port`;
  for (const port of [undefined, null, '']) {
    const server = net.createServer();
    serve(server, { path, port: port as undefined });
    await new Promise((resolve) => server.once('listening', resolve));
    assert.equal(server.address(), path);
    await new Promise((resolve) => server.close(resolve));
  }
});
