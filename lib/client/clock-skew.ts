const REPORTED_SKEW = 30_000;

/** A sentence for a hint, if the clocks differ so much that tokens and secret_ids seem to end early or late. */
export function skewHint({ clockSkew }: { clockSkew?: number }): string {
  if (clockSkew === undefined || Math.abs(clockSkew) < REPORTED_SKEW) return '';
  const seconds = Math.round(Math.abs(clockSkew) / 1000);
  return ` CLOCK: the server's clock is ${seconds} s ${clockSkew > 0 ? 'ahead of' : 'behind'} this machine's; synchronise both.`;
}
