import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';

export const REDIS = Symbol('REDIS');

/** An ordinary service with ioredis: nothing in it depends on the change of users. */
@Injectable()
export class CacheService {
  constructor(@Inject(REDIS) private readonly redis: Redis) {}

  async set(key: string, value: string, seconds = 60): Promise<void> {
    await this.redis.set(`cache:${key}`, value, 'EX', seconds);
  }

  get(key: string): Promise<string | null> {
    return this.redis.get(`cache:${key}`);
  }

  /** Two commands in one transaction. */
  async count(key: string, seconds = 60): Promise<number> {
    const results = await this.redis.multi().incr(`cache:${key}`).expire(`cache:${key}`, seconds).exec();
    return Number(results?.[0]?.[1]);
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    return String(await this.redis.acl('WHOAMI'));
  }
}
