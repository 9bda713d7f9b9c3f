/** `pg` with PostgreSQL over `.s.PGSQL.5432`, by its option `stream` and by register. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { Client, type ClientConfig } from 'pg';
import { copyFrom, copyTo } from './copy-streams';
import net from 'afunix';
import { startPostgresql } from './postgresql';
import { hashOf, sha256 } from './support';
import { onOurs, ways } from './ways';

test('pg with PostgreSQL', { timeout: 90_000 }, async (t) => {
  const place = await startPostgresql(t);
  if (place === null) return;
  for (const way of ways) {
    const configuration = (): ClientConfig => ({
      host: place.by[way],
      database: 'postgres',
      user: userInfo().username,
      ...(way === 'hook' ? { stream: () => new net.Socket() } : {}),
    });
    const connected = async (): Promise<Client> => {
      const client = new Client(configuration());
      await onOurs(() => client.connect());
      return client;
    };

    await t.test(`the kernel says who we are: peer login, by ${way}`, async () => {
      const client = await connected();
      const { rows } = await client.query<{ name: string }>('select session_user as name');
      assert.deepEqual(rows, [{ name: userInfo().username }]);
      await client.end();
      const stranger = new Client({ ...configuration(), user: 'stranger' });
      await assert.rejects(stranger.connect(), { code: '28000' });
    });

    await t.test(`rows of 1 MB, and a thousand queries in a row, by ${way}`, async () => {
      const client = await connected();
      const text = 'x1y2'.repeat(2 ** 18);
      const { rows } = await client.query<{ a: string; n: number }>(
        'select $1::text || n as a, n from generate_series(1, 8) n',
        [text],
      );
      assert.deepEqual(
        rows.map(({ a, n }) => a === `${text}${n}`),
        new Array<boolean>(8).fill(true),
      );
      const answers = await Promise.all(
        Array.from({ length: 1000 }, (_, i) =>
          client.query<{ i: number }>('select $1::int as i', [i]),
        ),
      );
      assert.deepEqual(
        answers.map(({ rows: [row] }) => row?.i),
        [...answers.keys()],
      );
      await client.end();
    });

    await t.test(`COPY in and out of 200,000 rows, by ${way}`, async () => {
      const client = await connected();
      await client.query('create temporary table numbers (n int, t text)');
      const lines = Array.from({ length: 200_000 }, (_, i) => `${i}\tnumber ${i}\n`);
      await pipeline(
        Readable.from(batches(lines)),
        client.query(copyFrom('copy numbers from stdin')),
      );
      const out = client.query(copyTo('copy (select * from numbers order by n) to stdout'));
      assert.equal(await hashOf(out), sha256(lines.join('')));
      const { rows } = await client.query('select count(*)::int as count from numbers');
      assert.deepEqual(rows, [{ count: 200_000 }]);
      await client.end();
    });

    await t.test(`LISTEN and NOTIFY between two connections, by ${way}`, async () => {
      const [listener, speaker] = await Promise.all([connected(), connected()]);
      await listener.query('listen news');
      const told = once(listener, 'notification') as Promise<[{ payload?: string }]>;
      await speaker.query("select pg_notify('news', 'it works')");
      assert.equal((await told)[0].payload, 'it works');
      await Promise.all([listener.end(), speaker.end()]);
    });

    await t.test(`a query is cancelled from another connection, by ${way}`, async () => {
      const [sleeper, other] = await Promise.all([connected(), connected()]);
      const { rows } = await sleeper.query<{ pid: number }>('select pg_backend_pid() as pid');
      const cancelled = assert.rejects(sleeper.query('select pg_sleep(600)'), { code: '57014' });
      const running =
        'select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 and state = $2';
      for (let done = 0; done === 0;) {
        const { rowCount } = await other.query(running, [rows[0]?.pid, 'active']);
        done = rowCount ?? 0;
      }
      await cancelled;
      assert.equal((await sleeper.query('select 1')).rowCount, 1);
      await Promise.all([sleeper.end(), other.end()]);
    });
  }
});

function* batches(lines: readonly string[]): Generator<string> {
  for (let at = 0; at < lines.length; at += 1000) yield lines.slice(at, at + 1000).join('');
}
