import { Controller, Get, HttpException, Inject, Param, ParseIntPipe, Post } from '@nestjs/common';
import { CredentialsService, type VaultStatus } from 'nestjs-vault';
import { firstValueFrom } from 'rxjs';
import { STORE, type Store } from '../variant.js';
import type { Measured } from './protocol.js';

/** The HTTP endpoints of the load. A failure is answered with its code only. */
@Controller()
export class LoadController {
  constructor(
    @Inject(STORE) private readonly store: Store,
    private readonly credentials: CredentialsService,
  ) {}

  @Get('query')
  query(): Promise<object> {
    return answer(this.store.query());
  }

  @Get('transaction/:milliseconds')
  transaction(@Param('milliseconds', ParseIntPipe) milliseconds: number): Promise<object> {
    return answer(this.store.transaction(milliseconds));
  }

  @Get('cursor/:milliseconds')
  cursor(@Param('milliseconds', ParseIntPipe) milliseconds: number): Promise<object> {
    return answer(this.store.cursor(milliseconds));
  }

  @Get('status')
  status(): Promise<VaultStatus> {
    return firstValueFrom(this.credentials.status$);
  }

  /** Collects garbage first, so that only reachable memory is counted. */
  @Post('measure')
  measure(): Measured {
    globalThis.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    return { heapUsed, rss };
  }
}

async function answer(work: Promise<void>): Promise<object> {
  try {
    await work;
    return {};
  } catch (error) {
    throw new HttpException({ code: codeOf(error) }, 500);
  }
}

/** Errors without a code come from the driver, with fixed texts. */
export function codeOf(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
