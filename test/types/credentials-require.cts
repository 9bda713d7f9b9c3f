// What a program written with `require` sees of afunix/credentials. Compiled, never run.
import net = require('afunix');
import credentials = require('afunix/credentials');
import seqpacket = require('afunix/seqpacket');

const policy: credentials.Policy = credentials.not(credentials.uid('nobody'));
const server: net.Server = net.createServer({ authorize: policy, passCredentials: true });
server.on('connection', (socket) => socket.destroy());
const peer: credentials.PeerCredentials | null = net.connect('/run/x.sock').peerCredentials;
seqpacket.createServer({ passCredentials: true }, (socket) => {
  socket.on('message', (_, info) => {
    const sender: credentials.PeerCredentials | null = info.credentials;
    return sender;
  });
});

net.createServer({ passCredentials: 'pidfd' });
seqpacket.createServer({ passCredentials: 'pidfd' });
const writers: boolean = net.features().writerPidfd.available;

// @ts-expect-error whether it is asked for is a boolean, or 'pidfd'
net.createServer({ passCredentials: 'yes' });

export = { peer, server, writers };
