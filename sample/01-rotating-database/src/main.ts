import { ConsoleLogger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { Configuration } from './config/configuration.js';
import { LoadService } from './load/load.service.js';
import { colours } from './timeline/format.js';
import { TimelineService } from './timeline/timeline.service.js';

/** The timeline tells what goes well; an error that ends the start is told once, below. */
class TroubleLogger extends ConsoleLogger {
  override error(message: unknown, ...rest: unknown[]): void {
    if (rest.at(-1) !== 'ExceptionHandler') super.error(message, ...(rest as string[]));
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, {
    logger: new TroubleLogger({ colors: colours, logLevels: ['warn', 'error', 'fatal'] }),
    abortOnError: false,
  });
  // Ctrl-C closes the application, which ends its credentials; an exit code can then tell how it went.
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
