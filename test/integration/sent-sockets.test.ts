/** A socket that goes to another process by `child.send()` while its stream holds something: that is told here, once, as with `net`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runRegistered } from './registered';

const CHILD = `process.on('message', (message, handle) => {
  if (message === 'exit') process.exit();
  handle.end('sent to the child');
});`;

/** What becomes of the socket, whose stream has the bytes of 'A' and of two thirds of a character, before it is sent. */
const USES = {
  flows: "accepted.on('data', tell).resume(); send();",
  'is paused, and goes on later':
    "accepted.on('data', tell).pause(); send(); later = () => accepted.resume();",
  'is read as it comes':
    "accepted.on('readable', () => { for (let text; (text = accepted.read()) !== null; ) tell(text); }); send();",
  'is piped': "accepted.pipe(new PassThrough()).on('data', tell); send();",
  'is sent by its first bytes':
    "accepted.once('data', (text) => { tell(text); send(); }).resume();",
} as const;

for (const [what, use] of Object.entries(USES)) {
  test(`a socket that ${what}: what it holds when it is sent is told here, once, whatever its encoding`, async (t) => {
    const program = `
      const { fork } = require('node:child_process'), { PassThrough } = require('node:stream');
      const file = place + '/child.cjs', path = place + '/s';
      require('node:fs').writeFileSync(file, ${JSON.stringify(CHILD)});
      const child = fork(file, { execArgv: [] });
      const server = net.createServer({ pauseOnConnect: true });
      await once(server.listen(path), 'listening');
      for (const encoding of ['utf8', 'utf16le', 'latin1', 'base64', 'hex', undefined]) {
        const client = net.connect(path);
        const [accepted] = await once(server, 'connection');
        const told = [];
        const tell = (part) => told.push(typeof part === 'string' ? part : [...part]);
        const send = () => child.send('socket', accepted);
        let later = () => undefined;
        if (encoding !== undefined) accepted.setEncoding(encoding);
        client.write(Buffer.from([0x41, 0xe2, 0x82]));
        accepted.read(0);
        while (accepted.bytesRead < 3) await new Promise(setImmediate);
        ${use}
        setImmediate(later);
        let answer = '';
        for await (const chunk of client) answer += chunk;
        await new Promise(setImmediate);
        process.stdout.write(JSON.stringify([encoding, told, answer]) + '\\n');
      }
      server.close();
      child.send('exit');
      await once(child, 'exit');
    `;
    const [ours, theirs] = await Promise.all([
      runRegistered(t, program),
      runRegistered(t, program, { by: 'none' }),
    ]);
    assert.deepEqual(ours, theirs);
    // What is piped is bytes again.
    const letter = what === 'is piped' ? [0x41] : 'A';
    assert.deepEqual(theirs.told.at(0), ['utf8', [letter], 'sent to the child']);
  });
}
