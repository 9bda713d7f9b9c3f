/** A peer in C, with the system calls themselves: descriptors both ways, in messages and in a stream's bytes. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test, type TestContext } from 'node:test';
import afunix, { type Socket as Stream } from 'afunix';
import type { Descriptor } from 'afunix/raw';
import type { MessageInfo, Socket } from 'afunix/seqpacket';
import { contentOf, open } from '../helpers/passed-descriptors';
import { freshPath } from '../helpers/socket-paths';
import { happens, listening } from './support';

/** Sends "one" with its stdin, "two" without, then says what it is sent, with what the descriptors hold. */
const SOURCE = `
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char** argv) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, argv[2], sizeof(address.sun_path) - 1);
  int type = strcmp(argv[1], "stream") == 0 ? SOCK_STREAM : SOCK_SEQPACKET;
  int s = socket(AF_UNIX, type, 0);
  if (argc < 3 || connect(s, (struct sockaddr*)&address, sizeof(address)) != 0) return 1;
  char text[] = "one";
  struct iovec part = {text, 3};
  alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(sizeof(int));
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = 0;
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  if (sendmsg(s, &message, 0) != 3 || send(s, "two", 3, 0) != 3) return 2;
  for (;;) {
    char bytes[100];
    part.iov_base = bytes;
    part.iov_len = sizeof(bytes);
    message.msg_controllen = sizeof(control);
    ssize_t length = recvmsg(s, &message, 0);
    if (length <= 0) return length == 0 ? 0 : 3;
    printf("%.*s", (int)length, bytes);
    header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      int count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (int i = 0; i < count; ++i) {
        memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
        ssize_t read_now = read(fd, bytes, sizeof(bytes));
        printf(" %.*s", (int)read_now, bytes);
        close(fd);
      }
    }
    printf("%s\\n", (message.msg_flags & MSG_CTRUNC) ? " cut" : "");
  }
}
`;

function start(t: TestContext, type: string, path: string): { said: Promise<string> } {
  const program = freshPath(t);
  execFileSync('g++', ['-std=c++20', '-x', 'c++', '-o', program, '-'], { input: SOURCE });
  const child = spawn(program, [type, path], { stdio: [open(t, 'theirs'), 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.on('data', (text: Buffer) => (output += text.toString()));
  t.after(() => fs.rmSync(program, { force: true }));
  return {
    said: once(child, 'close').then(([code]) => {
      assert.equal(code, 0);
      return output;
    }),
  };
}

test('a C peer over SEQPACKET', async (t) => {
  const { path, server } = await listening(t, { maxDescriptors: 2 });
  const accepted = happens(server, 'connection') as Promise<[Socket]>;
  const { said } = start(t, 'seqpacket', path);
  const [peer] = await accepted;
  const seen: string[] = [];
  const both = new Promise<void>((resolve) => {
    peer.on('message', (bytes, { descriptors }: MessageInfo) => {
      seen.push([bytes.toString(), ...descriptors.map(contentOf)].join(' '));
      if (seen.length === 2) resolve();
    });
  });
  await both;
  assert.deepEqual(seen, ['one theirs', 'two']);
  peer.sendDescriptors([open(t, 'a'), open(t, 'b')], 'files');
  peer.send('none');
  peer.end();
  assert.equal(await said, 'files a b\nnone\n');
});

test('a C peer over a stream', async (t) => {
  const path = freshPath(t);
  const server = afunix.createServer({ maxDescriptors: 2 } as object);
  server.listen(path);
  t.after(() => server.close());
  const accepted = once(server, 'connection') as Promise<[Stream]>;
  const { said } = start(t, 'stream', path);
  const [peer] = await accepted;
  const seen: string[] = [];
  const all = new Promise<void>((resolve) => {
    peer.on(
      'descriptors',
      (descriptors: Descriptor[], { offset, end }: { offset: number; end: number }) => {
        seen.push(`${descriptors.map(contentOf).join(' ')} ${offset}-${end}`);
      },
    );
    peer.on('data', (bytes: Buffer) => {
      seen.push(bytes.toString());
      if (peer.bytesRead === 6) resolve();
    });
  });
  await all;
  assert.deepEqual(seen, ['theirs 0-3', 'one', 'two']);
  peer.sendDescriptors([open(t, 'a'), open(t, 'b')], 'files');
  peer.end();
  assert.equal(await said, 'files a b\n');
});
