import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { LoadService } from './load.service.js';

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  });
  // Ctrl-C closes the application, which ends its credentials; an exit code can then tell how it went.
  app.enableShutdownHooks(undefined, { useProcessExit: true });
  try {
    await app.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  process.stdout.write(`Answers at ${await app.getUrl()}/orders. Ctrl-C ends it.\n\n`);
  const load = app.get(LoadService);
  process.once('exit', () => {
    if (load.failed > 0) process.exitCode = 1;
  });
  load.start();

  const seconds = Number(process.env['RUN_FOR_SECONDS'] ?? 0);
  if (seconds > 0) setTimeout(() => void app.close(), seconds * 1000).unref();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
