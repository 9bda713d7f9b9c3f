import * as path from 'node:path';

import type { Connection, Endpoint } from '../contenders/contender.js';
import {
  loadPackage,
  packageMissing,
  POSTGRESQL_USER,
  postgresqlMissing,
  startPostgresql,
} from '../real-servers.js';
import { libraryWorkload, type LibraryLoad } from './library-load.js';

/** The part of pg that is used here. */
interface Query {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}
interface Client {
  on(event: 'error', listener: () => void): unknown;
  connect(): Promise<void>;
  query(query: Query): Promise<{ rows: { n: number; t?: string }[] }>;
}
interface Library {
  Client: new (options: object) => Client;
}

/**
 * A client that has connected, over the contender's connection, by the library's own hook for that. The library connects what it is given,
 * which is on its way already.
 */
async function clientOver(
  connect: () => Connection,
  endpoint: Endpoint,
  pipeline: boolean,
): Promise<Client> {
  if (!('path' in endpoint)) throw new Error('PostgreSQL listens on a Unix socket here');
  const stream = (): Connection => {
    const connection = connect();
    return Object.assign(connection, { connect: () => connection });
  };
  const { Client } = loadPackage('pg') as Library;
  const host = path.dirname(endpoint.path);
  const user = POSTGRESQL_USER;
  const client = new Client({ host, user, database: 'postgres', stream, pipeline });
  // Queries that are under way hear of it; and none is when the server ends.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

interface Shape {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly clients: number;
  /** Queries that are under way at a time, in pg's pipeline mode if they are many. */
  readonly queries: number;
}

const missing = (): string | undefined => packageMissing('pg') ?? postgresqlMissing();

function asking({ queries, ...shape }: Shape): LibraryLoad {
  return {
    ...shape,
    unit: 'requests/s',
    operationsPerTurn: queries,
    missing,
    start: startPostgresql,
    async open(connect, endpoint) {
      const client = await clientOver(connect, endpoint, queries > 1);
      const ask = async (n: number): Promise<void> => {
        const { rows } = await client.query({
          name: 'n',
          text: 'select $1::int as n',
          values: [n],
        });
        if (rows.length !== 1 || rows[0].n !== n) throw new Error('not the row that was asked for');
      };
      let next = 0;
      return async () => {
        await Promise.all(Array.from({ length: queries }, () => ask(next++ & 0xffff)));
      };
    },
  };
}

const ROWS = 5_000;
const TEXT = 'text of a hundred bytes and some more '.repeat(3);

const rows: LibraryLoad = {
  id: 'pg-rows',
  title: `pg, ${ROWS.toLocaleString('en')} rows at a time`,
  description: `pg with PostgreSQL, one connection, queries for ${ROWS.toLocaleString('en')} rows of ${TEXT.length} bytes`,
  unit: 'rows/s',
  clients: 1,
  operationsPerTurn: ROWS,
  missing,
  start: startPostgresql,
  async open(connect, endpoint) {
    const client = await clientOver(connect, endpoint, false);
    return async () => {
      const { rows } = await client.query({
        name: 'rows',
        text: 'select n, $1::text as t from generate_series(1, $2::int) n',
        values: [TEXT, ROWS],
      });
      if (rows.length !== ROWS) throw new Error(`${rows.length} rows instead of ${ROWS}`);
      rows.forEach(({ n, t }, i) => {
        if (n !== i + 1 || t !== TEXT) throw new Error(`row ${i} is another one`);
      });
    };
  },
};

export const pgWorkloads = [
  asking({
    id: 'pg-pipeline',
    title: 'pg, pipelines of 100 queries',
    description:
      'pg with PostgreSQL, one connection, 100 prepared queries for one row in its pipeline',
    clients: 1,
    queries: 100,
  }),
  asking({
    id: 'pg-10',
    title: 'pg, 10 connections',
    description:
      'pg with PostgreSQL, 10 connections, one prepared query for one row outstanding on each',
    clients: 10,
    queries: 1,
  }),
  rows,
].map(libraryWorkload);
