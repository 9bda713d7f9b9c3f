// The service behind all of these: HTTP on the socket that a service manager passes on, or else at ADDRESS.
import http from 'node:http';
import { parseAddress } from 'afunix';
import { listeners, notify, watchdog } from 'afunix/activation';
import { serve } from 'afunix/http';

const server = http.createServer((request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(`${request.method} ${request.url} by ${process.pid}\n`);
});
// Longer than any proxy in front keeps an idle connection: it must not send a request just when this end closes.
server.keepAliveTimeout = 75_000;

function place() {
  const [passed] = listeners();
  if (passed !== undefined) return passed;
  const address = parseAddress(process.env.ADDRESS ?? 'unix:/run/example/http.sock');
  if (address.path === undefined) return address;
  return {
    ...address,
    // The proxy is in the group of the file. `replace`: the next instance takes the path from this one, or from one that was killed.
    mode: 0o660,
    stale: 'replace',
    // In a volume that only this service and its proxy share it is they who may write.
    checkDirectory: process.env.TRUST_DIRECTORY === undefined,
  };
}

serve(server, place(), () => {
  notify({ ready: true, status: 'Serving' });
  console.log('serving');
});
watchdog();

process.once('SIGTERM', () => {
  notify({ stopping: true });
  // Requests under way are answered; then nothing is left to wait for, and the process ends.
  server.close();
});
