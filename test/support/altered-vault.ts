import { SimulatedVault, VirtualClock, type SimulatedVaultOptions } from '../../lib/testing/index.js';
import { appRole } from '../../lib/auth/app-role.js';
import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.types.js';
import type { VaultOptions } from '../../lib/config/options.js';
import { live } from '../conformance/life.js';

/** An answer that can be changed: its body as JSON, its headers, its status. */
export interface Answer {
  status: number;
  // Tests write anything that a server might send.
  body: any;
  headers: Record<string, string>;
}

export type Alter = (answer: Answer, request: TransportRequest) => void;

/** A simulated server behind an intermediary that changes its answers. */
export class AlteredVault {
  readonly clock = new VirtualClock();
  readonly vault: SimulatedVault;
  /** Changes the answer of each request that succeeded. */
  alter: Alter | undefined;
  /** Another intermediary between the server and the client. */
  between: (sender: Sender) => Sender = (sender) => sender;

  constructor(options: SimulatedVaultOptions = {}) {
    this.vault = new SimulatedVault({ clock: this.clock, ...options });
  }

  /** Changes the answers to requests whose method and path match. */
  alterAll(pattern: RegExp, change: (answer: Answer) => void): void {
    this.alter = (answer, { method, path }) => {
      if (pattern.test(`${method} ${path}`)) change(answer);
    };
  }

  transport(): Sender {
    const sender = this.between(this.vault.transport());
    return {
      send: async (request) => this.#altered(await sender.send(request), request),
      close: () => sender.close(),
    };
  }

  /** A connection that has logged in. TTLs are in seconds. */
  async live(
    { ttl = 60, maxTtl = 3_600, tokenTtl = 7_200, tokenMaxTtl = 72_000 } = {},
    options: Partial<VaultOptions> = {},
  ) {
    this.vault.databaseRole('app', { defaultTtl: ttl, maxTtl });
    const { roleId, secretId } = this.vault.appRole('app', { tokenTtl, tokenMaxTtl });
    return this.clock.until(
      live(
        { address: 'http://vault.test', auth: appRole({ roleId, secretId: secretId() }), ...options },
        undefined,
        { clock: this.clock, transport: this.transport() },
      ),
    );
  }

  #altered(response: TransportResponse, request: TransportRequest): TransportResponse {
    if (!this.alter || response.statusCode >= 300 || response.body === '') return response;
    const headers = { ...response.headers } as Record<string, string>;
    const answer: Answer = { status: response.statusCode, body: JSON.parse(response.body), headers };
    this.alter(answer, request);
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    return { ...response, statusCode: answer.status, headers, body };
  }
}
