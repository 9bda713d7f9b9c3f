import type { Connection } from '../contenders/contender.js';
import { loadPackage, packageMissing, redisMissing, startRedis } from '../real-servers.js';
import { libraryWorkload, type LibraryLoad } from './library-load.js';

/** The part of ioredis that is used here. */
interface Pipeline {
  getBuffer(key: string): Pipeline;
  exec(): Promise<[error: Error | null, value: Buffer][] | null>;
}
interface Redis {
  connect(): Promise<void>;
  set(key: string, value: Buffer): Promise<string>;
  getBuffer(key: string): Promise<Buffer | null>;
  pipeline(): Pipeline;
}
interface Library {
  AbstractConnector: new (disconnectTimeout: number) => {
    connecting: boolean;
    stream: Connection;
  };
  Redis: new (options: object) => Redis;
}

const KEY = 'user:123';

/** A client that has connected, over the contender's connection, by the library's own hook for that. */
async function clientOver(connect: () => Connection): Promise<Redis> {
  const { AbstractConnector, Redis } = loadPackage('ioredis') as Library;
  class Connector extends AbstractConnector {
    constructor() {
      super(1000);
    }
    connect(): Promise<Connection> {
      this.connecting = true;
      return Promise.resolve((this.stream = connect()));
    }
  }
  const redis = new Redis({ Connector, lazyConnect: true, retryStrategy: null });
  await redis.connect();
  return redis;
}

interface Shape {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly clients: number;
  /** GETs in one pipeline; 1 is a GET by itself. */
  readonly gets: number;
  readonly valueSize: number;
}

function getting({ gets, valueSize, ...shape }: Shape): LibraryLoad {
  const value = Buffer.alloc(valueSize, 'v');
  const check = (answer: Buffer | null): void => {
    if (!answer?.equals(value)) throw new Error('not the value that was set');
  };
  return {
    ...shape,
    unit: 'requests/s',
    operationsPerTurn: gets,
    missing: () => packageMissing('ioredis') ?? redisMissing(),
    start: startRedis,
    async open(connect) {
      const redis = await clientOver(connect);
      await redis.set(KEY, value);
      if (gets === 1) return async () => check(await redis.getBuffer(KEY));
      return async () => {
        const pipeline = redis.pipeline();
        for (let i = 0; i < gets; i++) pipeline.getBuffer(KEY);
        const answers = (await pipeline.exec()) ?? [];
        if (answers.length !== gets)
          throw new Error(`${answers.length} answers instead of ${gets}`);
        for (const [error, answer] of answers) {
          if (error) throw error;
          check(answer);
        }
      };
    },
  };
}

export const ioredisWorkloads = [
  getting({
    id: 'ioredis-pipeline',
    title: 'ioredis, pipelines of 1,000 GETs',
    description: 'ioredis with Redis, one connection, pipelines of 1,000 GETs of 64 bytes',
    clients: 1,
    gets: 1_000,
    valueSize: 64,
  }),
  getting({
    id: 'ioredis-50',
    title: 'ioredis, 50 connections',
    description: 'ioredis with Redis, 50 connections, one GET of 64 bytes outstanding on each',
    clients: 50,
    gets: 1,
    valueSize: 64,
  }),
  getting({
    id: 'ioredis-64-kib',
    title: 'ioredis, pipelines of 16 GETs of 64 KiB',
    description: 'ioredis with Redis, one connection, pipelines of 16 GETs of 64 KiB',
    clients: 1,
    gets: 16,
    valueSize: 64 * 1024,
  }),
].map(libraryWorkload);
