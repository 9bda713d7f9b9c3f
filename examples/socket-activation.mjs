// A service that is started when somebody connects, and says when it is ready. systemd is played by a few lines of Python;
// its units are in docs/listening.md.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import net from 'afunix';
import { listeners, notify, watchdog } from 'afunix/activation';

const manager = `
import os, select, socket, sys
path, notifications, *command = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen()
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); told.bind(notifications)
print('listening', flush=True)
select.select([listener], [], [])
if os.fork() == 0:
    os.dup2(os.dup(listener.fileno()), 3, inheritable=True)
    os.execvpe(command[0], command, dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',
               LISTEN_FDNAMES='api', NOTIFY_SOCKET=notifications, WATCHDOG_USEC='10000000'))
lines = []
while 'STOPPING=1' not in lines:
    lines = told.recv(4096).decode().split('\\n')
    print('the manager hears:', ', '.join(lines), flush=True)
os.wait()
`;

function serve() {
  const [api] = listeners();
  if (api === undefined) throw new Error('not started by a service manager');
  const server = net.createServer((socket) => {
    socket.end(`hello from ${api.name}\n`);
    socket.on('close', () => {
      notify({ stopping: true });
      server.close();
    });
  });
  server.listen({ fd: api.fd }, () => notify({ ready: true, status: 'Serving' }));
  watchdog();
}

async function play() {
  const directory = mkdtempSync(join(tmpdir(), 'afunix-'));
  const path = join(directory, 'api.sock');
  const service = [process.execPath, fileURLToPath(import.meta.url), 'service'];
  const child = spawn('python3', ['-c', manager, path, join(directory, 'notify'), ...service], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface(child.stdout)) {
    console.log(line);
    // Nothing runs yet that could answer.
    if (line === 'listening') net.connect(path).on('data', (text) => process.stdout.write(text));
  }
  rmSync(directory, { recursive: true });
}

if (process.argv[2] === 'service') serve();
else await play();
