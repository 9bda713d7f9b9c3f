// Messages that keep their boundaries: a small calculator, one message a question, one an answer.
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'afunix/seqpacket';

const path = join(tmpdir(), `afunix-seqpacket-${process.pid}.sock`);

const server = createServer((socket) => {
  socket.on('message', (question) => {
    const { a, b } = JSON.parse(question.toString());
    socket.send(JSON.stringify({ sum: a + b }));
  });
});
server.listen(path);
await once(server, 'listening');

const client = connect(path);
client.send(JSON.stringify({ a: 19, b: 23 }));
const [answer, info] = await once(client, 'message');
console.log(`19 + 23 = ${JSON.parse(answer.toString()).sum}, in ${info.fullLength} bytes`);

// Many at a time, both ways.
const questions = Array.from({ length: 1000 }, (_, i) => JSON.stringify({ a: i, b: i }));
client.sendBatch(questions);
client.end();
let answers = 0;
let total = 0;
for await (const batch of client.batches()) {
  answers += batch.length;
  for (const message of batch) total += JSON.parse(message.toString()).sum;
}
console.log(`${answers} answers, ${total} in all`);
server.close();
