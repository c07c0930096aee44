import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

const app = await NestFactory.create(AppModule, { abortOnError: false });
// SIGTERM closes the application, which ends its credentials; the process then exits with its own code.
app.enableShutdownHooks(undefined, { useProcessExit: true });
try {
  await app.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1');
} catch (error) {
  await app.close();
  throw error;
}
process.stdout.write(`Listening at ${await app.getUrl()}\n`);
