/** `ioredis` with Redis, by its option `Connector` and by register. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import net from 'afunix';
import { REDIS_SOCKET, startRedis } from './redis';
import { onOurs, ways } from './ways';

test('ioredis with Redis', { timeout: 60_000 }, async (t) => {
  const place = await startRedis(t);
  if (place === null) return;
  for (const way of ways) {
    const to = path.join(place.by[way], REDIS_SOCKET);
    class ByHook extends AbstractConnector {
      constructor() {
        super(1000);
      }
      connect(): Promise<never> {
        this.connecting = true;
        return Promise.resolve((this.stream = net.connect(to)) as never);
      }
    }
    const options: RedisOptions = {
      path: to,
      lazyConnect: true,
      ...(way === 'hook' ? { Connector: ByHook } : {}),
    };
    const connected = async (): Promise<Redis> => {
      const redis = new Redis(options);
      await onOurs(() => redis.connect());
      return redis;
    };

    await t.test(`pipelines of 10,000 commands, by ${way}`, async () => {
      const redis = await connected();
      await redis.flushall();
      const pipeline = redis.pipeline();
      for (let i = 0; i < 5000; i += 1) pipeline.set(`key ${i}`, `value ${i}`).get(`key ${i}`);
      const answers = (await pipeline.exec()) ?? [];
      assert.equal(answers.length, 10_000);
      for (let i = 0; i < 5000; i += 1) {
        assert.deepEqual(answers.slice(2 * i, 2 * i + 2), [
          [null, 'OK'],
          [null, `value ${i}`],
        ]);
      }
      assert.equal(await redis.dbsize(), 5000);
      redis.disconnect();
    });

    await t.test(`values of 5 MB, as bytes, by ${way}`, async () => {
      const redis = await connected();
      const value = Buffer.alloc(5_000_000, Buffer.from([0, 255, 13, 10, 36]));
      await redis.set('large', value);
      assert.ok((await redis.getBuffer('large'))?.equals(value));
      redis.disconnect();
    });

    await t.test(`publishing and subscribing, by ${way}`, async () => {
      const [subscriber, publisher] = await Promise.all([connected(), connected()]);
      await subscriber.subscribe('news');
      const received: string[] = [];
      const all = new Promise<void>((resolve) => {
        subscriber.on('message', (_, message) => {
          received.push(message);
          if (received.length === 1000) resolve();
        });
      });
      for (let i = 0; i < 1000; i += 1) void publisher.publish('news', String(i));
      await all;
      assert.deepEqual(
        received,
        Array.from({ length: 1000 }, (_, i) => String(i)),
      );
      subscriber.disconnect();
      publisher.disconnect();
    });

    await t.test(`a killed connection is made again, and goes on, by ${way}`, async () => {
      const [redis, other] = await Promise.all([connected(), connected()]);
      const id = await redis.client('ID');
      const back = once(redis, 'ready');
      await other.client('KILL', 'ID', id);
      await back;
      assert.equal(await redis.ping(), 'PONG');
      redis.disconnect();
      other.disconnect();
    });
  }
});
