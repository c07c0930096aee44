// Starts the application of the samples in the environment of this process, and prints what it injects: as JSON, without
// a secret.
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { NestFactory } from '@nestjs/core';
import { firstValueFrom } from 'rxjs';
import { getCredentialsToken, getSecretToken, Secret } from '../../dist/esm/index.js';
import { AppModule } from '../../sample/15-local/dist/app.module.js';
import { OrdersRepository } from '../../sample/15-local/dist/orders/orders.repository.js';

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['log'], abortOnError: false });
const credentials = await firstValueFrom(app.get(getCredentialsToken('orders')));
const apiKey = app.get(getSecretToken('payments', { key: 'apiKey' }));
const orders = app.get(OrdersRepository);
const { item } = await orders.place('tea');
const injected = {
  keys: Object.keys(credentials).sort(),
  path: credentials.lease.path,
  renewable: credentials.lease.renewable,
  secrets: [credentials.username, credentials.password, apiKey].every((one) => one instanceof Secret),
  user: /^v-[\w-]+-orders-/.test(credentials.username.reveal()),
  apiKey: createHash('sha256').update(apiKey.reveal()).digest('hex'),
  printed: inspect({ credentials, apiKey }, { depth: 9 }).includes(credentials.password.reveal()),
  item,
  found: (await orders.recent()).some((order) => order.item === 'tea'),
};
await app.close();
process.stdout.write(`\ninjected ${JSON.stringify(injected)}\n`);
