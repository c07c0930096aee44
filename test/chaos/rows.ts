import type { ProbeSummary } from './probes.js';

/** The effect of one case on one application: a row of the table. Times in milliseconds. */
export interface Row {
  /** The fault. */
  fault: string;
  /** The TTLs of leases and tokens, and other relevant settings. */
  setting: string;
  /** Requests of the load. */
  sent: number;
  failed: number;
  codes: Record<string, number>;
  /** From the end of the fault to the end of the last failure; 0 if there was none later. */
  recovered: number;
  /** From the end of the fault until the status was `up`. */
  statusUp: number;
  /** The reasons of the status: error codes, or pending actions. */
  said: string[];
  /** Replaced tokens and leases, with the reasons of the events. */
  replaced: string[];
  /** From the fault to the end of the case. */
  lasted: number;
  /** Requests to Vault, from the fault to the end of the case. */
  requests: { total: number; failed: number };
  /** What the probes said, from the fault to the end of the case. */
  probes: ProbeSummary;
  /** A remark for the table. */
  note?: string;
}

declare module '@vitest/runner' {
  interface TaskMeta {
    chaos?: Row[];
  }
}
