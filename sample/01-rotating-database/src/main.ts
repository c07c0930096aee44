import { ConsoleLogger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import type { Configuration } from './config/configuration.js';
import { DemoModule } from './demo.module.js';
import { LoadService } from './load/load.service.js';
import { colours } from './timeline/format.js';
import { TimelineService } from './timeline/timeline.service.js';

/** Limits Nest's log to warnings and errors: the timeline shows the rest. The code below prints a failed start once. */
class TroubleLogger extends ConsoleLogger {
  override error(message: unknown, ...rest: unknown[]): void {
    if (rest.at(-1) !== 'ExceptionHandler') super.error(message, ...(rest as string[]));
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.create(DemoModule, {
    logger: new TroubleLogger({ colors: colours, logLevels: ['warn', 'error', 'fatal'] }),
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
  app.get(TimelineService).start(await app.getUrl());
  load.start();

  const runFor = config.get('runFor', { infer: true });
  if (runFor > 0) setTimeout(() => void app.close(), runFor * 1000).unref();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
