/** The next step of a token or a lease, with its time and reason. */
export interface NextStep {
  action: 'login' | 'renew' | 'issue' | 'retire' | 'read' | 'none';
  at?: Date;
  reason: string;
}
