import type { VaultErrorCode } from '../../../lib/errors/vault-error.js';
import type { AuthMethod, SecretSource, VaultOptions } from '../../../lib/index.js';
import type { Sender } from '../../../lib/client/transport.types.js';
import type { SimulatedVault } from '../../../lib/testing/index.js';
import type { MutualTls } from '../../support/http-proxy.js';
import type { Title } from './titles.js';

/** The server on which one test runs, for its operator. Each test has a mount of its own. */
export interface Operator {
  readonly kind: 'openbao' | 'vault';
  /** Mount of the method below `auth/`, enabled already. */
  readonly mount: string;
  /** The `token_*` fields of the role, the user or the configuration: policies, TTLs, period, type. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Seconds of the longest life of a token, whatever renews it; Infinity for a periodic one. */
  readonly lifetime: number;
  /** Sends one request with the root token, or with `token`; resolves with the answer, and rejects if it fails. */
  api: (method: string, path: string, body?: unknown, options?: { token?: string }) => Promise<any>;
  /** Milliseconds since 1970, by the clock of the server. */
  now: () => number;
  /** Only where the server is a simulated one. */
  readonly simulated?: SimulatedVault;
}

/** Logins in the first minute at most, if the delays between them double, and half of each is random. */
export const SPACED_OUT = 10;

/** A bad login: the method that makes it, and the error that it must end with. */
export interface BadLogin {
  /** Default: the method as usual. */
  method?: AuthMethod;
  /** Default: a right input. */
  input?: string;
  code: VaultErrorCode;
  hint: RegExp;
  /**
   * The number of login requests that are permitted in the first minute, in which a request asks each second. Default 1:
   * the server may count failed logins and lock the user out.
   */
  logins?: number;
}

/** A method that was set up at the server of one test. */
export interface Prepared {
  /** Options of its connections, besides `auth`. */
  readonly options?: Partial<VaultOptions>;
  /** The paths of its login requests, below `/v1/`. */
  readonly login: RegExp;
  /** Requests of one login at the server. Default 1. */
  readonly requests?: number;
  /** The requests of a login are look-ups, as others are: its events count as its logins. */
  readonly looksUp?: boolean;
  /** Stands between the connections and the server. */
  readonly through?: (sender: Sender) => Sender;
  /** The method, as an application makes it, with this source of its secret input. */
  method: (source: SecretSource) => AuthMethod;
  /** A right input, of 8 characters at least; another one each time, if the method has such. */
  input: () => string | Promise<string>;

  /** Bad logins. Each is required, unless {@link MethodUnderTest.notApplicable} has the reason. */
  readonly bad: Readonly<Partial<Record<'input' | 'expired' | 'audience' | 'role' | 'skew', BadLogin>>>;
  /** A login request with a wrong input of a user or role that exists, for a lock-out. */
  readonly wrongLogin?: { path: string; body: object };
  /** Error of a login during a lock-out. Default: that which names it. */
  readonly lockedOut?: { code: VaultErrorCode; hint: RegExp };
  /** The system that the server asks at a login, with the error of a login while it is down. */
  readonly provider?: {
    down: () => void | Promise<void>;
    up: () => void | Promise<void>;
    code: VaultErrorCode;
    hint: RegExp;
  };
  /** Ends the tokens of the method at the server, if its mount is not its own. */
  revokeTokens?: () => Promise<void>;
  /** From here on the server refuses to renew tokens of earlier logins, while new logins work. */
  refuseRenewals?: () => void | Promise<void>;
  /** Ends what `prepare` has begun. */
  end?: () => void | Promise<void>;
}

/**
 * An auth method under test: about sixty lines in `methods/`, and its name in `methods/index.ts`. The contract runs on the
 * simulated server in both dialects, and with `npm run test:auth` on a real one.
 */
export interface MethodUnderTest {
  /** Name of its function, as `appRole`. */
  readonly name: string;
  /** Type at the server, as `approle`. */
  readonly type: string;
  /** False: the server has it, at one mount. Default true: each test enables it at a mount of its own. */
  readonly mounted?: boolean;
  /** The servers that have it. */
  readonly servers: readonly ('openbao' | 'vault')[];
  /** Whether its inputs are valid at the real date only: openssl makes certificates of today. */
  readonly today?: boolean;
  /** The certificates of its real server. Default: that server has no TLS. */
  readonly tls?: () => MutualTls;
  /** False: it is tested on the simulated server only, as its provider cannot run here. Default true. */
  readonly real?: boolean;
  /** Titles that cannot hold, with the reason: on both servers, or on one of them. */
  readonly notApplicable?: Readonly<
    Partial<Record<Title, string | Partial<Record<'openbao' | 'vault', string>>>>
  >;
  prepare: (operator: Operator) => Prepared | Promise<Prepared>;
}
