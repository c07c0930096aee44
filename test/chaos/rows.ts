/** What one case did to one application: a row of the table. Times in milliseconds. */
export interface Row {
  /** What was done. */
  fault: string;
  /** How long leases and tokens live there, and what else matters. */
  setting: string;
  /** Requests of the load. */
  sent: number;
  failed: number;
  codes: Record<string, number>;
  /** From when it could work again to the end of the last failure; 0 where none came later. */
  recovered: number;
  /** From the same moment until the status said that all is well. */
  statusUp: number;
  /** Why, in the words of the status: codes of errors, or what is to be done. */
  said: string[];
  /** What was replaced, and why, in the words of events. */
  replaced: string[];
  /** From the fault to the end of the case. */
  lasted: number;
  /** To Vault, from the fault to the end of the case. */
  requests: { total: number; failed: number };
  /** What else is worth telling. */
  note?: string;
}

declare module '@vitest/runner' {
  interface TaskMeta {
    chaos?: Row[];
  }
}
