import type { RunningServer } from './servers.mjs';

export interface Sample {
  metric: Record<string, string>;
  /** Seconds since 1970, and the value as text. */
  value: [number, string];
}

export interface Alert {
  labels: Record<string, string> & { alertname: string };
  annotations: Record<string, string>;
  state: 'pending' | 'firing';
  activeAt: string;
}

export interface PrometheusServer extends Omit<RunningServer, 'restart'> {
  readonly address: string;
  /** The samples of an instant query; rejects for a fault of the expression. */
  query: (expr: string) => Promise<Sample[]>;
  /** The pending and the firing alerts. */
  alerts: () => Promise<Alert[]>;
  /** The names of all metrics. */
  names: () => Promise<string[]>;
}

export function prometheusAvailable():
  { ok: true; server: string; tool: string } | { ok: false; reason: string };
/** Starts it with the text of its configuration, and of the file `alerts.yml` beside it. */
export function startPrometheus(options: {
  config: string;
  rules: string;
  port?: number;
}): Promise<PrometheusServer>;
