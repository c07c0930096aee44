import { diag, metrics, trace, type MeterProvider, type TracerProvider } from '@opentelemetry/api';
import { VERSION } from '../client/user-agent.js';
import {
  CHANNELS,
  type VaultAskMessage,
  type VaultEventMessage,
  type VaultPoolMessage,
  type VaultRequestMessage,
  type VaultSource,
  type VaultTaskMessage,
} from '../events/channels.js';
import { BoundedPaths } from './bounded-paths.js';
import { OTHER_PATH, SCOPE } from './names.js';
import { VaultMetrics } from './vault-metrics.js';
import { VaultSpans } from './vault-spans.js';

/**
 * Configuration of {@link VaultInstrumentation}.
 *
 * @publicApi
 */
export interface VaultInstrumentationConfig {
  /** Whether the constructor enables it. @default true */
  enabled?: boolean;
  /**
   * The name for an API path of credentials in metrics, and in the spans of issues: for applications with a role for
   * each tenant. `(path) => path.replace(/-\d+$/, '-{id}')` reports `database/creds/tenant-42` as
   * `database/creds/tenant-{id}`. Requests have templates in any case. @default the path itself
   */
  path?: (path: string) => string;
  /** Number of different paths in metrics; all further ones are reported as `other`. @default 50 */
  maxPaths?: number;
}

/**
 * Providers to use instead of the global ones.
 *
 * @publicApi
 */
export interface VaultInstrumentationProviders {
  meterProvider?: MeterProvider;
  tracerProvider?: TracerProvider;
}

/**
 * OpenTelemetry metrics and traces of all connections in this process. It subscribes to `diagnostics_channel` and
 * changes no module, so it may be created before or after the connections.
 *
 * Without providers it uses the global ones, also if they are registered later.
 *
 * @example
 * new NodeSDK({ instrumentations: [new VaultInstrumentation()] }).start();
 *
 * @publicApi
 */
export class VaultInstrumentation {
  readonly instrumentationName = SCOPE;
  readonly instrumentationVersion = VERSION;
  readonly instrumentationDescription = 'HashiCorp Vault and OpenBao by nestjs-vault';
  readonly #sources = new Set<VaultSource>();
  readonly #closed = new WeakSet<VaultSource>();
  #config: VaultInstrumentationConfig;
  #given: VaultInstrumentationProviders;
  #unsubscribe: (() => void)[] = [];
  #metrics: { provider: MeterProvider; made: VaultMetrics } | undefined;
  #spans: { provider: TracerProvider; made: VaultSpans } | undefined;

  constructor(config: VaultInstrumentationConfig & VaultInstrumentationProviders = {}) {
    const { meterProvider, tracerProvider, ...rest } = config;
    this.#config = { enabled: true, ...rest };
    this.#given = { ...(meterProvider && { meterProvider }), ...(tracerProvider && { tracerProvider }) };
    if (this.#config.enabled) this.enable();
  }

  /** Begins to report. A connection is known from its next event or request. Does nothing if it has begun. */
  enable(): void {
    if (this.#unsubscribe.length > 0) return;
    this.#unsubscribe = [
      this.#on<VaultEventMessage>(CHANNELS.event, (message) => this.#event(message)),
      this.#on<VaultRequestMessage>(CHANNELS.requestStart, (one) => this.#traces.requestStarted(one)),
      this.#on<VaultRequestMessage>(CHANNELS.requestEnd, (one) => {
        this.#meters.requestEnded(one);
        this.#traces.requestEnded(one);
      }),
      this.#on<VaultAskMessage>(CHANNELS.taskAsked, (ask) => this.#traces.asked(ask)),
      this.#on<VaultTaskMessage>(CHANNELS.taskStart, (task) => this.#traces.taskStarted(task)),
      this.#on<VaultTaskMessage>(CHANNELS.taskEnd, (task) => {
        this.#meters.taskEnded(task);
        this.#traces.taskEnded(task);
      }),
      this.#on<VaultPoolMessage>(CHANNELS.pool, (one) => this.#meters.pool(one)),
    ];
  }

  /** Ends all reports, and leaves nothing behind. */
  disable(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    this.#sources.clear();
    this.#closeAll();
  }

  /** Reports metrics to this provider from now on. The SDK calls it. */
  setMeterProvider(meterProvider: MeterProvider): void {
    this.#given = { ...this.#given, meterProvider };
  }

  /** Reports spans to this provider from now on. The SDK calls it. */
  setTracerProvider(tracerProvider: TracerProvider): void {
    this.#given = { ...this.#given, tracerProvider };
  }

  /** The present configuration, with defaults of `enabled` only. */
  getConfig(): VaultInstrumentationConfig {
    return this.#config;
  }

  /** Replaces the configuration. `enabled` has no effect here: see {@link enable} and {@link disable}. */
  setConfig(config: VaultInstrumentationConfig): void {
    this.#config = { enabled: true, ...config };
    this.#closeAll();
  }

  #closeAll(): void {
    this.#metrics?.made.close();
    this.#spans?.made.close();
    this.#metrics = undefined;
    this.#spans = undefined;
  }

  /** The global provider may be registered, or replaced, at any time. */
  get #meters(): VaultMetrics {
    const provider = this.#given.meterProvider ?? metrics.getMeterProvider();
    if (this.#metrics?.provider !== provider) {
      this.#metrics?.made.close();
      const paths = new BoundedPaths(this.#describe, this.#config.maxPaths ?? 50);
      this.#metrics = { provider, made: new VaultMetrics(provider, this.#sources, paths) };
    }
    return this.#metrics.made;
  }

  get #traces(): VaultSpans {
    const provider = this.#given.tracerProvider ?? trace.getTracerProvider();
    if (this.#spans?.provider !== provider) {
      this.#spans?.made.close();
      this.#spans = { provider, made: new VaultSpans(provider, this.#describe) };
    }
    return this.#spans.made;
  }

  /** A function of the application that throws costs only the name. */
  get #describe(): (path: string) => string {
    const { path: describe = (path) => path } = this.#config;
    return (path) => {
      try {
        return describe(path);
      } catch (error) {
        diag.error(`${SCOPE}: the option \`path\` threw an error`, error);
        return OTHER_PATH;
      }
    };
  }

  #event(message: VaultEventMessage): void {
    const { source, event } = message;
    this.#meters.event(message);
    if (event.type !== 'closed') return;
    this.#closed.add(source);
    this.#sources.delete(source);
  }

  #on<M extends { source: VaultSource }>(
    channel: (typeof CHANNELS)[keyof typeof CHANNELS],
    handle: (message: M) => void,
  ): () => void {
    const listener = (message: unknown) => {
      // An error here would end the process.
      try {
        const { source } = message as M;
        if (!this.#sources.has(source) && !this.#closed.has(source)) this.#sources.add(source);
        handle(message as M);
      } catch (error) {
        diag.error(`${SCOPE}: a message was not reported`, error);
      }
    };
    channel.subscribe(listener);
    return () => {
      channel.unsubscribe(listener);
    };
  }
}
