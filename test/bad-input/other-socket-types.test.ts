/** A stream asks for a stream: sockets of another type are told from absent ones. */
import assert from 'node:assert/strict';
import { scenario, type Stage } from '../conformance/scenario';
import { assertHint, connectFailure, listenFailure } from '../helpers/bad-input';
import { leavesNothingOpen } from '../helpers/descriptors';
import { type Partner, startProgram } from '../helpers/partner';

const types = ['SOCK_SEQPACKET', 'SOCK_DGRAM'] as const;

/** A socket of this type that is bound, and listens if it can, until it is killed. */
const holder = `
import socket, sys
kind, address = sys.argv[1], sys.argv[2]
s = socket.socket(socket.AF_UNIX, getattr(socket, kind))
s.bind('\\0' + address[1:] if address.startswith('@') else address)
if kind != 'SOCK_DGRAM':
    s.listen(8)
print('["bound"]', flush=True)
sys.stdin.read()
`;

async function hold(stage: Stage, type: string, address: string): Promise<Partner> {
  const partner = startProgram(stage, ['python3', '-c', holder, type, address.replace('\0', '@')]);
  await partner.told('bound');
  return partner;
}

for (const type of types) {
  scenario(`connecting a stream to a ${type} socket`, async (stage) => {
    const address = stage.path();
    await hold(stage, type, address);
    const error = await connectFailure(stage, address);
    stage.trace('connect', error);
    assert.equal(error.code, 'EPROTOTYPE');
    assert.equal(error.syscall, 'connect');
    assertHint(stage, error, address, 'type');
  });

  scenario(`listening in the place of a ${type} socket`, async (stage) => {
    const address = stage.path();
    await hold(stage, type, address);
    const error = await listenFailure(stage, address);
    stage.trace('listen', error);
    assert.equal(error.code, 'EADDRINUSE');
    assertHint(stage, error, address);
  });

  scenario(
    `connecting a stream to an abstract ${type} name: to the kernel that is another name`,
    async (stage) => {
      const address = stage.abstract();
      await hold(stage, type, address);
      const error = await connectFailure(stage, address);
      stage.trace('connect', error);
      assert.equal(error.code, 'ECONNREFUSED');
      assertHint(stage, error, address.slice(1));
    },
  );

  scenario(`connecting to a ${type} socket 200 times leaves nothing open`, async (stage) => {
    const address = stage.path();
    await hold(stage, type, address);
    await leavesNothingOpen(async () => {
      const error = await connectFailure(stage, address);
      assert.equal(error.code, 'EPROTOTYPE');
    });
  });
}
