import { ConsoleLogger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { show } from '../../common/load.mjs';
import type { Configuration } from './config/configuration.js';
import { DemoModule } from './demo.module.js';
import { LoadService } from './load/load.service.js';

/** Limits Nest's log to warnings and errors: the dashboard shows the rest. The code below prints a failed start once. */
class TroubleLogger extends ConsoleLogger {
  override error(message: unknown, ...rest: unknown[]): void {
    if (rest.at(-1) !== 'ExceptionHandler') super.error(message, ...(rest as string[]));
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.create(DemoModule, {
    logger: new TroubleLogger({
      colors: process.stdout.isTTY && process.stdout.hasColors(),
      logLevels: ['warn', 'error', 'fatal'],
    }),
    abortOnError: false,
  });
  // Ctrl-C closes the application, which ends its credentials; the process then exits with its own code.
  app.enableShutdownHooks(undefined, { useProcessExit: true });

  const config = app.get<ConfigService<Configuration, true>>(ConfigService);
  const { host, port } = config.get('http', { infer: true });
  try {
    await app.listen(port, host);
  } catch (error) {
    await app.close();
    throw error;
  }

  const load = app.get(LoadService);
  process.once('exit', () => {
    if (load.failed > 0) process.exitCode = 1;
  });
  const url = await app.getUrl();
  process.stdout.write(`Listening at ${url}, with /orders and /health. Ctrl-C ends it.\n\n`);
  show(app, () => `queries: ${load.summary}`);
  load.start();

  const runFor = config.get('runFor', { infer: true });
  if (runFor > 0) setTimeout(() => void app.close(), runFor * 1000).unref();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
