/** What the pages "Child process", "Cluster" and "Worker threads" of Node's documentation show with servers, over a path. */
import { fork, spawn } from 'node:child_process';
import cluster from 'node:cluster';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { documented, type Stage } from './stage';

const asked = (stage: Stage, to: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const req = stage.request({ socketPath: to, headers: { Connection: 'close' } }, (res) => {
      void text(res).then(resolve, reject);
    });
    req.on('error', reject);
    req.end();
  });

documented('a server in a child, spoken to by its parent', (stage) => {
  const { net, path, say } = stage;
  if (process.send !== undefined) {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    server.listen(path(), () => process.send?.('listening'));
    process.on('message', (message) => {
      if (message === 'stop') server.close(() => process.disconnect());
    });
    return;
  }
  const child = fork(process.argv[1] ?? '');
  child.on('message', (message) => {
    say('parent', message);
    const client = net.connect(path());
    client.end('to the child and back');
    void text(client).then((answer) => {
      say('parent', answer);
      child.send('stop');
    });
  });
  child.on('exit', (code, signal) => say('parent', 'exit', code, signal));
});

documented('a child that is killed while it serves', (stage) => {
  const { net, path, say } = stage;
  if (process.send !== undefined) {
    net
      .createServer((socket) => {
        socket.write('some');
        socket.on('error', () => undefined);
      })
      .listen(path(), () => process.send?.('listening'));
    return;
  }
  const child = fork(process.argv[1] ?? '');
  child.on('message', () => {
    const client = net.connect(path());
    client.once('data', (data) => {
      say('client', data.toString());
      child.kill('SIGKILL');
    });
    client.on('end', () => say('client', 'end'));
    client.on('error', (error: NodeJS.ErrnoException) => say('client', error.code));
    client.on('close', (hadError) => say('client', 'close', hadError));
  });
  child.on('exit', (code, signal) => {
    say('parent', 'exit', code, signal);
    // With io_uring the kernel may take a moment more to close what the process had.
    const ask = (): void => {
      const late = net.connect(path()).resume();
      late.on('error', (error: NodeJS.ErrnoException) => {
        if (error.syscall !== 'connect') return;
        say('late', error.code);
        late.removeAllListeners('close');
      });
      late.on('close', () => setTimeout(ask, 5));
    };
    ask();
  });
});

documented("a server's connection as stdin and stdout of a program", ({ net, path, say }) => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const child = spawn('tr', ['a-z', 'A-Z'], { stdio: ['pipe', 'pipe', 'inherit'] });
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
    child.on('close', (code) => say('server', code));
  });
  server.listen(path(), () => {
    const client = net.connect({ path: path(), allowHalfOpen: true });
    client.end('in capitals');
    void text(client).then((answer) => {
      say('client', answer);
      server.close();
    });
  });
});

documented('cluster: workers share the path', (stage) => {
  const { listen, path, say } = stage;
  if (!cluster.isPrimary) {
    const server = http.createServer((_req, res) => {
      res.writeHead(200);
      res.end('hello world\n');
      process.send?.({ cmd: 'notifyRequest' });
    });
    listen(server, path());
    return;
  }
  let requests = 0;
  for (let i = 0; i < 2; i += 1) cluster.fork();
  let ready = 0;
  cluster.on('message', (_worker, message: { cmd?: string }) => {
    if (message.cmd === 'notifyRequest') requests += 1;
    if (requests === 6) cluster.disconnect();
  });
  cluster.on('listening', (_worker, address) => {
    say('primary', 'listening', address.address, address.addressType);
    ready += 1;
    if (ready < 2) return;
    void (async () => {
      for (let i = 0; i < 6; i += 1) say('client', await asked(stage, path()));
    })();
  });
  cluster.on('exit', (worker, code, signal) => {
    say('primary', 'exit', code, signal, worker.exitedAfterDisconnect, worker.isDead());
  });
});

documented('a server in a worker, spoken to by the main thread', (stage) => {
  const { net, path, say } = stage;
  if (!isMainThread) {
    const server = net.createServer((socket) => {
      void text(socket).then((question) => {
        socket.end(`${question}, said the worker ${String(workerData)}`);
        server.close(() => parentPort?.close());
      });
    });
    server.on('connection', (socket) => (socket.allowHalfOpen = true));
    server.listen(path(), () => parentPort?.postMessage('listening'));
    parentPort?.ref();
    return;
  }
  const worker = new Worker(process.argv[1] ?? '', { workerData: 7 });
  worker.on('message', (message) => {
    say('main', message);
    const client = net.connect(path());
    client.end('who is there');
    void text(client).then((answer) => say('main', answer));
  });
  worker.on('error', (error) => say('main', error.message));
  worker.on('exit', (code) => say('main', 'exit', code));
});

documented('a worker that is terminated while it serves', (stage) => {
  const { net, path, say } = stage;
  if (!isMainThread) {
    net
      .createServer((socket) => {
        socket.on('error', () => undefined);
        socket.write('some');
      })
      .listen(path(), () => parentPort?.postMessage('listening'));
    return;
  }
  const worker = new Worker(process.argv[1] ?? '');
  worker.on('message', () => {
    const client = net.connect(path());
    client.once('data', (data) => {
      say('client', data.toString());
      void worker.terminate().then((code) => say('main', code));
    });
    client.on('end', () => say('client', 'end'));
    client.on('error', (error: NodeJS.ErrnoException) => say('client', error.code));
    client.on('close', (hadError) => say('client', 'close', hadError));
  });
});
