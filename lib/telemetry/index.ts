/** OpenTelemetry metrics and traces of all connections: {@link VaultInstrumentation}. */
export {
  VaultInstrumentation,
  type VaultInstrumentationConfig,
  type VaultInstrumentationProviders,
} from './vault-instrumentation.js';
