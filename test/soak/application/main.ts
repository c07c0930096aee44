import 'reflect-metadata';
import type { Server } from 'node:http';
import { ConsoleLogger, Module, type DynamicModule, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  appRole,
  CredentialsService,
  fromFile,
  fromWrappedToken,
  KvService,
  VaultModule,
  type AuthMethod,
  type ConnectionStatus,
  type VaultEvent,
  type VaultStatus,
} from 'nestjs-vault';
import { STORE, VARIANTS, type Store } from '../variant.js';
import { LoadController } from './load.controller.js';
import { exportMetrics } from './metrics.js';
import { ProbesModule } from './probes.controller.js';
import type { ApplicationConfig, AppReport, ReportedStatus, SoakAuth } from './protocol.js';

@Module({})
class ApplicationModule {
  static over(vault: ApplicationConfig['vault'], variant: DynamicModule): DynamicModule {
    return {
      module: ApplicationModule,
      imports: [VaultModule.forRoot({ ...vault, auth: authOf(vault.auth) }), variant, ProbesModule],
      controllers: [LoadController],
    };
  }
}

function authOf({ roleId, secretId, file }: SoakAuth): AuthMethod {
  if (!file) return appRole({ roleId, secretId });
  const source = fromFile(file.path);
  return appRole({ roleId, secretId: file.wrapped ? fromWrappedToken(source) : source });
}

/** The application under load, in a process of its own: it can be suspended, and its memory is its own. */
async function main(): Promise<void> {
  const config = JSON.parse(process.env['SOAK_APPLICATION'] ?? '') as ApplicationConfig;
  const variant = await VARIANTS[config.variant]?.load();
  if (!variant) throw new Error(`There is no variant ${config.variant}.`);
  if (config.metricsPort !== undefined) exportMetrics(config.metricsPort);
  const app = await NestFactory.create(
    ApplicationModule.over(config.vault, variant.module(config.role, config.database)),
    { logger: new ConsoleLogger({ colors: false, logLevels: ['log', 'warn', 'error', 'fatal'] }) },
  );
  app.enableShutdownHooks(undefined, { useProcessExit: true });
  // After a suspension, the server would close idle connections just when the load uses them again.
  (app.getHttpServer() as Server).keepAliveTimeout = 60_000;
  await app.listen(0, '127.0.0.1');
  watch(app, config);
  report({ type: 'ready', url: await app.getUrl() });
  // The parent process has ended.
  process.once('disconnect', () => void app.close().finally(() => process.exit()));
}

function watch(app: INestApplication, { role, watched }: ApplicationConfig): void {
  // A failed first read ends the stream; its status says so.
  if (watched !== undefined) app.get(KvService).watch(watched, { every: 1_000 }).subscribe({ error: ignore });
  const credentials = app.get(CredentialsService);
  for (const event of credentials.recentEvents) reportEvent(event);
  credentials.events$.subscribe(reportEvent);
  credentials.status$.subscribe((status) => report({ type: 'status', ...reportedStatus(status) }));
  credentials.database(role).subscribe({
    next: ({ password }) => report({ type: 'canary', value: password.reveal() }),
    error: ignore,
  });
  app.get<Store>(STORE).onRotation((event) => {
    const { type } = event;
    report({
      type: 'pool',
      event: type,
      ...(type === 'drain-timeout' && { count: event.count }),
      ...(type === 'warning' && { message: event.message }),
    });
  });
}

function reportEvent(event: VaultEvent): void {
  report({
    type: 'event',
    event: event.type,
    ...('reason' in event && { reason: event.reason }),
    ...('error' in event && event.error && { error: event.error.code }),
    ...('message' in event && { message: event.message }),
  });
}

function reportedStatus({ connections }: VaultStatus): ReportedStatus {
  const { health, session, leases } = connections[0] as ConnectionStatus;
  const reasons = [session, ...leases].flatMap(({ state, error, next }) =>
    error ? [error.code] : state === 'valid' ? [] : [next.reason],
  );
  // Valid, but too short for the drain of the pool.
  if (leases.some(({ drain }) => drain)) reasons.push('drain');
  return { health, reasons };
}

const ignore = (): void => undefined;

type Untimed<T> = T extends unknown ? Omit<T, 'at'> : never;

function report(message: Untimed<AppReport>): void {
  if (process.connected) process.send?.({ at: Date.now(), ...message });
}

await main();
