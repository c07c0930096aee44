import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { VaultInstrumentation } from 'nestjs-vault/opentelemetry';

/** Metrics for Prometheus, as the page on monitoring has it. */
export function exportMetrics(port: number): void {
  const exporter = new PrometheusExporter({ host: '127.0.0.1', port });
  void new VaultInstrumentation({ meterProvider: new MeterProvider({ readers: [exporter] }) });
}
