import { NestFactory } from '@nestjs/core';
import { keepWorking } from '../../common/load.mjs';
import { DemoModule } from './demo.module.js';

const app = await NestFactory.createApplicationContext(DemoModule, {
  logger: ['warn', 'error', 'fatal'],
  abortOnError: false,
});
// Ctrl-C closes the application, which ends its credentials; the process then exits with its own code.
app.enableShutdownHooks(undefined, { useProcessExit: true });
keepWorking(app);
