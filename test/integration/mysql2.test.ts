/** `mysql2` with MariaDB, by its option `stream` and by register. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import net from 'afunix';
import { MARIADB_SOCKET, startMariadb } from './mariadb';
import { onOurs, ways } from './ways';

test('mysql2 with MariaDB', { timeout: 90_000 }, async (t) => {
  const place = await startMariadb(t);
  if (place === null) return;
  for (const way of ways) {
    const to = path.join(place.by[way], MARIADB_SOCKET);
    const connected = (): Promise<Connection> =>
      onOurs(() =>
        createConnection(
          way === 'hook'
            ? { user: 'root', database: 'mysql', stream: () => net.connect(to) }
            : { user: 'root', database: 'mysql', socketPath: to },
        ),
      );

    await t.test(`a thousand queries, plain and prepared, by ${way}`, async () => {
      const connection = await connected();
      const plain = await Promise.all(
        Array.from({ length: 500 }, (_, i) =>
          connection.query<RowDataPacket[]>('select ? as n', [i]),
        ),
      );
      assert.deepEqual(
        plain.map(([[row]]) => Number(row?.['n'])),
        [...plain.keys()],
      );
      const prepared = await Promise.all(
        Array.from({ length: 500 }, (_, i) =>
          connection.execute<RowDataPacket[]>('select ? as n', [String(i)]),
        ),
      );
      assert.deepEqual(
        prepared.map(([[row]]) => Number(row?.['n'])),
        [...prepared.keys()],
      );
      await connection.end();
    });

    await t.test(`a row of 8 MB there and back, by ${way}`, async () => {
      const connection = await connected();
      const text = 'abcdefgh'.repeat(2 ** 20);
      const [[row]] = await connection.query<RowDataPacket[]>('select ? as t', [text]);
      assert.ok(row?.['t'] === text);
      await connection.end();
    });

    await t.test(`100,000 rows, by ${way}`, async () => {
      const connection = await connected();
      const [rows] = await connection.query<RowDataPacket[]>(
        'select seq, repeat("x", 50) as t from seq_0_to_99999',
      );
      assert.equal(rows.length, 100_000);
      assert.deepEqual(rows.at(-1)?.['seq'], 99_999);
      await connection.end();
    });
  }
});
