/** Not installed: it has some hundred packages. Its instrumentations have the members that it calls. */
declare module '@opentelemetry/sdk-node' {
  import type { MeterProvider, TracerProvider } from '@opentelemetry/api';

  interface Instrumentation {
    instrumentationName: string;
    instrumentationVersion: string;
    enable(): void;
    disable(): void;
    setTracerProvider(provider: TracerProvider): void;
    setMeterProvider(provider: MeterProvider): void;
    setConfig(config: { enabled?: boolean }): void;
    getConfig(): { enabled?: boolean };
  }

  export class NodeSDK {
    constructor(configuration: { instrumentations: Instrumentation[] });
    start(): void;
    shutdown(): Promise<void>;
  }
}
