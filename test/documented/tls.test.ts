/** What the pages "TLS" and "HTTPS" of Node's documentation show, over a path. */
import https from 'node:https';
import tls from 'node:tls';
import { text } from 'node:stream/consumers';
import { documented, type Stage } from './stage';

/** `afunix/register` leaves TLS with net, see docs/register.md. */
const secured = { certificate: true, leftToNet: true };

/** An echo server, as the page has it. */
async function echo(stage: Stage, options: tls.TlsOptions = {}): Promise<tls.Server> {
  const { say } = stage;
  const server = tls.createServer(
    { ...stage.certificate, allowHalfOpen: true, ...options },
    (socket) => {
      say('server', 'connected', socket.authorized ? 'authorized' : 'unauthorized');
      socket.write('welcome!\n');
      socket.setEncoding('utf8');
      socket.pipe(socket);
    },
  );
  await new Promise<void>((resolve) => stage.listen(server, stage.path(), resolve));
  return server;
}

function trusting({ certificate, path }: Stage): tls.ConnectionOptions & { path: string } {
  return {
    path: path(),
    ca: [certificate.cert],
    servername: 'localhost',
    checkServerIdentity: () => undefined,
  };
}

documented(
  'tls.createServer() and tls.connect(): an echo',
  async (stage) => {
    const { say } = stage;
    const server = await echo(stage);
    const socket = stage.connectTls(trusting(stage), () => {
      say('client', socket.authorized, socket.encrypted, socket.getProtocol(), socket.alpnProtocol);
      socket.end('to be echoed');
    });
    void text(socket).then((answer) => {
      say('client', answer);
      server.close(() => say('server', 'close'));
    });
  },
  secured,
);

documented(
  'a certificate that nobody vouches for',
  async (stage) => {
    const { say } = stage;
    const server = await echo(stage);
    server.on('tlsClientError', (error: NodeJS.ErrnoException) => say('server', error.code));
    const socket = stage.connectTls({ path: stage.path(), servername: 'localhost' });
    socket.on('error', (error: NodeJS.ErrnoException) => say('client', error.code, error.message));
    socket.on('close', (hadError) => {
      say('client', 'close', hadError);
      server.close();
    });
  },
  secured,
);

documented(
  'rejectUnauthorized: false',
  async (stage) => {
    const { say } = stage;
    const server = await echo(stage);
    const socket = stage.connectTls(
      { path: stage.path(), servername: 'localhost', rejectUnauthorized: false },
      () => {
        say(
          'client',
          socket.authorized,
          socket.authorizationError,
          socket.getPeerCertificate().subject,
        );
        socket.end();
      },
    );
    socket.resume().on('close', () => server.close());
  },
  secured,
);

documented(
  'a client that is asked for its certificate',
  async (stage) => {
    const { certificate, say } = stage;
    const server = await echo(stage, { requestCert: true, ca: [certificate.cert] });
    const socket = stage.connectTls({ ...trusting(stage), ...certificate }, () => socket.end());
    void text(socket).then((answer) => {
      say('client', answer);
      server.close();
    });
  },
  secured,
);

documented(
  'ALPN and SNI',
  async (stage) => {
    const { certificate, say } = stage;
    const server = await echo(stage, {
      ALPNProtocols: ['foo', 'bar'],
      SNICallback: (name, callback) => {
        say('sni', name);
        callback(null, tls.createSecureContext(certificate));
      },
    });
    server.on('secureConnection', (socket) =>
      say('server', socket.alpnProtocol, socket.servername),
    );
    const socket = stage.connectTls({ ...trusting(stage), ALPNProtocols: ['bar', 'baz'] }, () => {
      say('client', socket.alpnProtocol);
      socket.end();
    });
    socket.resume().on('close', () => server.close());
  },
  secured,
);

documented(
  "'session', and a session that is resumed",
  async (stage) => {
    const { say } = stage;
    const server = await echo(stage);
    const first = stage.connectTls(trusting(stage));
    let kept: Buffer | undefined;
    first.on('session', (session) => {
      if (kept !== undefined) return;
      kept = session;
      first.end();
    });
    first.resume().on('close', () => {
      const second = stage.connectTls(
        { ...trusting(stage), ...(kept === undefined ? {} : { session: kept }) },
        () => {
          say('client', second.isSessionReused());
          second.end();
        },
      );
      second.resume().on('close', () => server.close());
    });
  },
  secured,
);

documented(
  "'keylog' on both ends",
  async (stage) => {
    const { say } = stage;
    const server = await echo(stage);
    server.on('keylog', (line: Buffer) => say('server', line.toString().split(' ')[0]));
    const socket = stage.connectTls(trusting(stage), () => socket.end());
    socket.on('keylog', (line: Buffer) => say('client', line.toString().split(' ')[0]));
    socket.resume().on('close', () => server.close());
  },
  secured,
);

documented(
  'TLS on a connection that is there already',
  async (stage) => {
    const { net, path, certificate, say } = stage;
    const context = tls.createSecureContext(certificate);
    const server = net.createServer({ allowHalfOpen: true }, (raw) => {
      raw.once('data', (line) => {
        say('server', line.toString());
        raw.write('go on');
        const socket = new tls.TLSSocket(raw, { isServer: true, secureContext: context });
        socket.on('secure', () => say('server', 'secure'));
        socket.pipe(socket);
      });
    });
    await new Promise<void>((resolve) => server.listen(path(), resolve));
    const raw = net.connect({ path: path(), allowHalfOpen: true }, () => raw.write('STARTTLS'));
    raw.once('data', (answer) => {
      say('client', answer.toString());
      const { path: _, ...options } = trusting(stage);
      const socket = tls.connect({ ...options, socket: raw }, () => socket.end('now in secret'));
      void text(socket).then((echoed) => {
        say('client', echoed);
        server.close();
      });
    });
  },
  { certificate: true },
);

documented(
  'a pre-shared key',
  async (stage) => {
    const { path, say } = stage;
    const psk = Buffer.from('d731ef57be09e5204f0b205b60627028', 'hex');
    const common = { ciphers: 'PSK+HIGH:TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.2' } as const;
    const server = tls.createServer(
      {
        ...common,
        allowHalfOpen: true,
        pskCallback: (_socket, identity) => {
          say('server', identity);
          return identity === 'Client_identity' ? psk : null;
        },
      },
      (socket) => socket.pipe(socket),
    );
    await new Promise<void>((resolve) => stage.listen(server, path(), resolve));
    const socket = stage.connectTls(
      {
        ...common,
        path: path(),
        checkServerIdentity: () => undefined,
        pskCallback: () => ({ psk, identity: 'Client_identity' }),
      },
      () => socket.end('with a key'),
    );
    void text(socket).then((echoed) => {
      say('client', echoed);
      server.close();
    });
  },
  { leftToNet: true },
);

/** The options that bring an https request to a path. */
function to(stage: Stage, options: https.RequestOptions = {}): https.RequestOptions {
  const { certificate, connectTls, path } = stage;
  return {
    host: 'localhost',
    ca: [certificate.cert],
    ...options,
    createConnection: () => connectTls({ ...trusting(stage), path: path() }),
  };
}

documented(
  'https.createServer() and https.get()',
  async (stage) => {
    const { say } = stage;
    const server = https.createServer(
      { ...stage.certificate, allowHalfOpen: true } as https.ServerOptions,
      (req, res) => {
        say('server', req.url, (req.socket as tls.TLSSocket).encrypted);
        res.writeHead(200);
        res.end('hello world\n');
      },
    );
    await new Promise<void>((resolve) => stage.listen(server, stage.path(), resolve));
    https.get(to(stage, { path: '/secret' }), (res) => {
      say('client', res.statusCode, (res.socket as tls.TLSSocket).authorized);
      void text(res).then((body) => {
        say('client', body);
        server.close();
      });
    });
  },
  secured,
);

documented(
  'https.request() with a body, again and again',
  async (stage) => {
    const { say } = stage;
    const server = https.createServer(
      { ...stage.certificate, allowHalfOpen: true } as https.ServerOptions,
      (req, res) => req.pipe(res),
    );
    await new Promise<void>((resolve) => stage.listen(server, stage.path(), resolve));
    for (const length of [0, 1, 17_000, 30_000, 36_000, 200_000]) {
      // With Connection: close it is a matter of luck whether node:tls says goodbye to somebody who is there.
      const headers = { Connection: 'keep-alive' };
      const req = https.request(to(stage, { method: 'POST', headers }));
      req.end(Buffer.alloc(length, 'b'));
      await new Promise<void>((resolve) => {
        req.on('error', (error) => {
          say('client', length, error.message);
          resolve();
        });
        req.on('response', (res) => {
          void text(res).then((body) => {
            say('client', length, body.length);
            req.destroy();
            resolve();
          });
        });
      });
    }
    server.close();
  },
  secured,
);

documented(
  'https with keep-alive: the agent makes the connections',
  async (stage) => {
    const { say } = stage;
    const server = https.createServer(
      { ...stage.certificate, allowHalfOpen: true } as https.ServerOptions,
      (req, res) => req.pipe(res),
    );
    let connections = 0;
    server.on('secureConnection', () => (connections += 1));
    await new Promise<void>((resolve) => stage.listen(server, stage.path(), resolve));
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    (agent as unknown as { createConnection: () => tls.TLSSocket }).createConnection = () =>
      stage.connectTls(trusting(stage));
    for (let i = 0; i < 20; i += 1) {
      const req = https.request({ host: 'localhost', method: 'POST', agent });
      req.end(Buffer.alloc(30_000, 'k'));
      await new Promise<void>((resolve) => {
        req.on('error', (error) => {
          say('client', i, error.message);
          resolve();
        });
        req.on('response', (res) => {
          void text(res).then((body) => {
            say('client', body.length, req.reusedSocket);
            setImmediate(resolve);
          });
        });
      });
    }
    agent.destroy();
    server.close(() => say('server', connections));
  },
  secured,
);
