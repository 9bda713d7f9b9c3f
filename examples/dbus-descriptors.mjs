// A D-Bus client that passes descriptors, spoken to a real dbus-daemon: two connections to a private bus, one of which sends the
// other an open file in a method call. On a stream descriptors travel with bytes; D-Bus says in a message's header how many are its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import net from 'afunix';

const SIGNATURE = 8;
const UNIX_FDS = 9;
const FIELDS = { path: 1, interface: 2, member: 3, destination: 6 };
const CALL = 1;

const align = (at, to) => Math.ceil(at / to) * to;

function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

const text = (value) =>
  Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(`${value}\0`)]);
const padded = (bytes, to) =>
  Buffer.concat([bytes, Buffer.alloc(align(bytes.length, to) - bytes.length)]);

/** A method call; a body is one string (s), or the index of a descriptor (h). */
function methodCall(serial, fields, { signature, body, descriptors = 0 } = {}) {
  let header = Buffer.alloc(0);
  const field = (code, type, value) => {
    header = Buffer.concat([
      padded(header, 8),
      Buffer.from([code, 1, type.charCodeAt(0), 0]),
      value,
    ]);
  };
  for (const [name, value] of Object.entries(fields)) {
    field(FIELDS[name], name === 'path' ? 'o' : 's', text(value));
  }
  if (signature !== undefined) field(SIGNATURE, 'g', Buffer.from([1, signature.charCodeAt(0), 0]));
  if (descriptors > 0) field(UNIX_FDS, 'u', uint32(descriptors));
  const bytes = body ?? Buffer.alloc(0);
  const start = Buffer.concat([
    Buffer.from(['l'.charCodeAt(0), CALL, 0, 1]),
    uint32(bytes.length),
    uint32(serial),
    uint32(header.length),
  ]);
  return Buffer.concat([padded(Buffer.concat([start, header]), 8), bytes]);
}

/** One connection: its own messages, each with the descriptors that belong to it. */
class Bus {
  #serial = 0;
  #bytes = Buffer.alloc(0);
  #descriptors = [];
  #waiting = [];

  static async open(file) {
    const bus = new Bus(new net.Socket({ maxDescriptors: 16 }).connect(file));
    await bus.#authenticate();
    bus.socket.on('data', (chunk) => bus.#take(chunk));
    bus.name = (await bus.call({ member: 'Hello' })).text;
    return bus;
  }

  constructor(socket) {
    this.socket = socket;
    socket.on('descriptors', (descriptors) => this.#descriptors.push(...descriptors));
  }

  async #say(line) {
    this.socket.write(line);
    const [answer] = await once(this.socket, 'data');
    return String(answer).trim();
  }

  async #authenticate() {
    const id = Buffer.from(String(process.getuid())).toString('hex');
    const answer = await this.#say(`\0AUTH EXTERNAL ${id}\r\n`);
    if (!answer.startsWith('OK')) throw new Error(answer);
    const agreed = await this.#say('NEGOTIATE_UNIX_FD\r\n');
    if (agreed !== 'AGREE_UNIX_FD') throw new Error(agreed);
    this.socket.write('BEGIN\r\n');
  }

  /** To the bus itself; the answer. */
  call(fields, more) {
    const to = {
      path: '/org/freedesktop/DBus',
      destination: 'org.freedesktop.DBus',
      interface: 'org.freedesktop.DBus',
    };
    this.socket.write(methodCall(++this.#serial, { ...to, ...fields }, more));
    return this.next((message) => message.type !== 4);
  }

  send(destination, descriptor) {
    const fields = { path: '/files', interface: 'org.example.Files', member: 'Take', destination };
    const message = methodCall(++this.#serial, fields, {
      signature: 'h',
      body: uint32(0),
      descriptors: 1,
    });
    this.socket.sendDescriptors([descriptor], message);
  }

  next(wanted) {
    return new Promise((resolve) => this.#waiting.push({ wanted, resolve }));
  }

  #take(chunk) {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      if (this.#bytes.length < 16) return;
      const fields = this.#bytes.readUInt32LE(12);
      const start = align(16 + fields, 8);
      const end = start + this.#bytes.readUInt32LE(4);
      if (this.#bytes.length < end) return;
      const message = this.#parse(this.#bytes.subarray(0, end), fields, start);
      this.#bytes = this.#bytes.subarray(end);
      const index = this.#waiting.findIndex(({ wanted }) => wanted(message));
      if (index >= 0) this.#waiting.splice(index, 1)[0].resolve(message);
      else for (const descriptor of message.descriptors) descriptor.close();
    }
  }

  #parse(bytes, fields, start) {
    let count = 0;
    for (let at = 16; at < 16 + fields;) {
      at = align(at, 8);
      const code = bytes[at];
      const type = String.fromCharCode(bytes[at + 2]);
      at += 4;
      if (code === UNIX_FDS) count = bytes.readUInt32LE(at);
      if (type === 'u') at += 4;
      else if (type === 'g') at += bytes[at] + 2;
      else at += 4 + bytes.readUInt32LE(at) + 1;
    }
    const body = bytes.subarray(start);
    const length = body.length >= 4 ? body.readUInt32LE(0) : 0;
    return {
      type: bytes[1],
      text: body.toString('utf8', 4, 4 + length),
      // They came before the last byte of their message, in the order of the messages.
      descriptors: this.#descriptors.splice(0, count),
    };
  }
}

const folder = mkdtempSync(path.join(tmpdir(), 'afunix-'));
const file = path.join(folder, 'bus');
const config = path.join(folder, 'bus.conf');
writeFileSync(
  config,
  `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=${file}</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
);
const daemon = spawn('dbus-daemon', [`--config-file=${config}`, '--nofork', '--print-address=1'], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
await once(daemon.stdout, 'data');

const sender = await Bus.open(file);
const receiver = await Bus.open(file);
console.log(`connected as ${sender.name} and ${receiver.name}`);

const note = path.join(folder, 'note');
writeFileSync(note, 'passed over the bus');
const opened = openSync(note, 'r');
const arrival = receiver.next((message) => message.descriptors.length > 0);
sender.send(receiver.name, opened);
closeSync(opened);
const [descriptor] = (await arrival).descriptors;
console.log(readFileSync(descriptor.fd, 'utf8'));
descriptor.close();

sender.socket.destroy();
receiver.socket.destroy();
daemon.kill();
await once(daemon, 'exit');
rmSync(folder, { recursive: true });
