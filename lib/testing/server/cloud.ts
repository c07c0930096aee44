/**
 * The principal that has signed a request to STS.
 *
 * @publicApi
 */
export interface SimulatedPrincipal {
  /** As STS shows it: `arn:aws:sts::123456789012:assumed-role/app/session`. */
  arn: string;
}

/**
 * The clouds that the methods `aws`, `gcp` and `azure` of a simulated server ask at each login.
 *
 * @publicApi
 */
export class SimulatedCloud {
  /** Whether the server cannot reach them. */
  down = false;
  /** PEM public key that verifies the tokens of Google and Azure. */
  publicKey = '';
  /**
   * Answers as STS to a signed request for the caller's identity; undefined refuses it. By default it refuses all.
   *
   * @param headers of the signed request, with names in lower case
   * @param now milliseconds since 1970, by the clock of the server
   */
  caller: (
    headers: Readonly<Record<string, string>>,
    now: number,
  ) => SimulatedPrincipal | undefined | Promise<SimulatedPrincipal | undefined> = () => undefined;
}
