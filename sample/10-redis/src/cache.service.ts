import { Inject, Injectable } from '@nestjs/common';
import type { RedisClientType } from 'redis';

export const REDIS = Symbol('REDIS');

/** An ordinary service with node-redis: nothing in it depends on the change of users. */
@Injectable()
export class CacheService {
  constructor(@Inject(REDIS) private readonly redis: RedisClientType) {}

  async set(key: string, value: string, seconds = 60): Promise<void> {
    await this.redis.set(`cache:${key}`, value, { expiration: { type: 'EX', value: seconds } });
  }

  get(key: string): Promise<string | null> {
    return this.redis.get(`cache:${key}`);
  }

  /** Two commands in one transaction. */
  async count(key: string, seconds = 60): Promise<number> {
    const [count] = await this.redis.multi().incr(`cache:${key}`).expire(`cache:${key}`, seconds).execTyped();
    return count;
  }

  /** The user that is logged in now. */
  user(): Promise<string> {
    return this.redis.aclWhoAmI();
  }
}
