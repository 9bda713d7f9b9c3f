// Two processes in a busy loop over a SEQPACKET pair, without the event loop: what the kernel alone takes for a round trip.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { RawSocket } from 'afunix/raw';

const message = new Uint8Array(128);
const role = process.argv[2];

if (role === 'echo') {
  const socket = RawSocket.fromFd(3);
  for (;;) {
    // −1: nothing yet, 0: the other end has closed.
    const length = socket.recv(message);
    if (length === 0) break;
    if (length > 0) socket.send(message, 0, length);
  }
} else {
  const [near, far] = RawSocket.socketpair('seqpacket');
  spawn(process.execPath, [fileURLToPath(import.meta.url), 'echo'], {
    stdio: ['ignore', 'inherit', 'inherit', far.fd],
  });
  far.close();

  const roundTrip = () => {
    near.send(message);
    while (near.recv(message) === -1);
  };
  for (let count = 0; count < 100; count += 1) roundTrip();

  const roundTrips = availableParallelism() > 1 ? 2_000 : 200;
  const started = process.hrtime.bigint();
  for (let count = 0; count < roundTrips; count += 1) roundTrip();
  const microseconds = Number(process.hrtime.bigint() - started) / 1e3;
  console.log(`${roundTrips} round trips of ${message.length} bytes over ${near.type}`);
  console.log(`${(microseconds / roundTrips).toFixed(1)} µs each`);
  near.close();
}
