/** parseAddress() and formatAddress(): addresses as strings, and back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import net, { formatAddress, parseAddress } from 'afunix';

const readings: readonly [string, object][] = [
  ['unix:/run/app.sock', { path: '/run/app.sock' }],
  ['unix:///run/app.sock', { path: '/run/app.sock' }],
  ['unix:////run/app.sock', { path: '//run/app.sock' }],
  ['unix:run/app.sock', { path: 'run/app.sock' }],
  ['unix:/a b%20c?d#e:1', { path: '/a b%20c?d#e:1' }],
  ['unix:@app', { path: '\0app' }],
  ['unix:./@app', { path: './@app' }],
  ['unix-abstract:app', { path: '\0app' }],
  ['unix-abstract:a/b:c\0d', { path: '\0a/b:c\0d' }],
  ['/run/app.sock', { path: '/run/app.sock' }],
  ['./app.sock', { path: './app.sock' }],
  ['../unix:app.sock', { path: '../unix:app.sock' }],
  ['\0app', { path: '\0app' }],
  ['tcp://127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
  ['tcp://service.example:65535', { host: 'service.example', port: 65_535 }],
  ['tcp://localhost:0', { host: 'localhost', port: 0 }],
  ['tcp://[::1]:8080', { host: '::1', port: 8080 }],
  ['tcp://[fe80::1%eth0]:8080', { host: 'fe80::1%eth0', port: 8080 }],
];

for (const [text, address] of readings) {
  test(`${JSON.stringify(text)} is ${JSON.stringify(address)}`, () => {
    assert.deepEqual(parseAddress(text), address);
  });
}

/** What is refused, and what the error says about it. */
const refusals: readonly [string, RegExp][] = [
  ['', /must be 'unix:\/path'/],
  ['app.sock', /a pathname that begins with '\/' or '\.\/'/],
  ['localhost:80', /'tcp:\/\/host:port'/],
  ['8080', /'tcp:\/\/host:port'/],
  ['@app', /'unix-abstract:name'/],
  ['http://localhost:80', /'tcp:\/\/host:port'/],
  ['tcp:127.0.0.1:80', /'tcp:\/\/host:port'/],
  ['TCP://127.0.0.1:80', /'tcp:\/\/host:port'/],
  ['unix:', /must have a path behind 'unix:'/],
  ['unix://', /names no host: write 'unix:\/path'/],
  ['unix://run/app.sock', /'unix:\/\/\/path' with three slashes/],
  ['unix:@', /must have the name of an abstract address/],
  ['unix-abstract:', /must have the name of an abstract address/],
  ['tcp://', /must name a host/],
  ['tcp://:80', /must name a host; 'tcp:\/\/0\.0\.0\.0:port'/],
  ['tcp://localhost', /must end with its port, ':0' to ':65535'/],
  ['tcp://localhost:', /must end with its port/],
  ['tcp://localhost:http', /must end with its port/],
  ['tcp://localhost:65536', /must end with its port, ':0' to ':65535'/],
  ['tcp://localhost:-1', /must end with its port/],
  ['tcp://localhost:8e1', /must end with its port/],
  ['tcp://localhost:80/', /and nothing behind it/],
  ['tcp://localhost:80?x', /and nothing behind it/],
  ['tcp://user@localhost:80', /must have a host name or an IP address/],
  ['tcp://local host:80', /must have a host name or an IP address/],
  ['tcp://::1:80', /IPv6 addresses in brackets: 'tcp:\/\/\[::1\]:port'/],
  ['tcp://fe80::1:80', /IPv6 addresses in brackets/],
  ['tcp://[127.0.0.1]:80', /IPv6 address in its brackets/],
  ['tcp://[::1', /in brackets/],
  ['tcp://[]:80', /IPv6 address in its brackets/],
];

for (const [text, says] of refusals) {
  test(`${JSON.stringify(text)} is refused, and the error shows it`, () => {
    assert.throws(
      () => parseAddress(text),
      (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
        assert.match(error.message, says);
        assert.ok(error.message.endsWith(`Received '${text}'`), error.message);
        return true;
      },
    );
  });
}

test('what is no string is refused', () => {
  for (const value of [undefined, null, 80, {}, ['unix:/x']]) {
    assert.throws(() => parseAddress(value as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const value of [undefined, null, 80, {}, { host: 'x' }, { port: 80 }]) {
    assert.throws(() => formatAddress(value as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('formatAddress() writes what server.address() gives', () => {
  assert.equal(formatAddress('/run/app.sock'), 'unix:/run/app.sock');
  assert.equal(formatAddress('\0app'), 'unix-abstract:app');
  const listening = { address: '::1', family: 'IPv6', port: 80 };
  assert.equal(formatAddress(listening), 'tcp://[::1]:80');
  assert.equal(formatAddress({ ...listening, address: '127.0.0.1' }), 'tcp://127.0.0.1:80');
});

const name = fc.string({ minLength: 1, maxLength: 60, unit: 'binary' });
const port = fc.integer({ min: 0, max: 65_535 });
const address = fc.oneof(
  name.filter((text) => !text.startsWith('\0')).map((path) => ({ path })),
  name.map((text) => ({ path: `\0${text}` })),
  fc
    .tuple(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port)
    .map(([host, number]) => ({ host, port: number })),
);

test('any address comes back from its string as it was', () => {
  fc.assert(
    fc.property(address, (given) => {
      const back = parseAddress(formatAddress(given));
      // '@x' would be abstract.
      const isAt = 'path' in given && given.path.startsWith('@');
      const same = isAt ? { path: `./${given.path}` } : given;
      assert.deepEqual(back, same);
    }),
  );
});

test('any text is an address or refused by that name', () => {
  const pieces = fc.constantFrom('unix:', 'unix-abstract:', 'tcp://', '/', '[', ']', ':', '@', '1');
  const text = fc.array(fc.oneof(pieces, fc.string({ maxLength: 4 })), { maxLength: 8 });
  fc.assert(
    fc.property(
      text.map((parts) => parts.join('')),
      (given) => {
        try {
          const { path, host, port } = parseAddress(given);
          if (path === undefined) assert.ok(host !== '' && port >= 0 && port <= 65_535);
          else assert.ok(path !== '' && path !== '\0');
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_VALUE');
        }
      },
    ),
  );
});

test('both are names of the default export, too', () => {
  assert.equal(net.parseAddress, parseAddress);
  assert.equal(net.formatAddress, formatAddress);
});
