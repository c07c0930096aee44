import { handled } from '../errors/handled.js';
import {
  NO_PATH_RULES,
  type PathExplanation,
  type FailedResponse,
  type Refusal,
  type Verdict,
} from './failed-response.js';
import { VaultError } from '../errors/vault-error.js';
import { skewHint } from './clock-skew.js';
import { nameOf, pathBelow } from './namespace.js';

/** Capabilities that a policy must grant; some engines distinguish `create` from `update`. */
const CAPABILITIES: Record<string, readonly string[]> = {
  GET: ['read'],
  LIST: ['list'],
  POST: ['create', 'update'],
  PUT: ['create', 'update'],
  PATCH: ['patch'],
  DELETE: ['delete'],
};

const DEFAULT_HINT =
  'Check the path and the parameters against the documentation of the engine; its audit log has the details.';
/** Hints on the invalid parameter, by the words of both servers. */
const PARAMETERS: readonly (readonly [words: RegExp, hint: string])[] = [
  [
    /requires Content-Type of/i,
    'Leave `content-type` out of the headers: a PATCH is a merge patch by default.',
  ],
  [
    /(error parsing X-Vault-Wrap-TTL|invalid duration|ttl must be positive|ttl is larger than|as TTL would result in)/i,
    'A TTL in the parameters is invalid. Write it as seconds or as "90s", "15m", "24h"; it must be above 0, and within ' +
      'the max TTL of the role and the validity of the signing authority.',
  ],
];

/** Converts a refused request into a `VaultError`; `docs/errors.md` lists the answers of servers. */
export function fromResponse(failed: FailedResponse): VaultError {
  const [code, message, hint, version] = judge(failed);
  const { status, path, retryAfter } = failed;
  return new VaultError({
    code,
    message,
    hint,
    status,
    path,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(version !== undefined && { version }),
    // The unknown server may have forwarded the request.
    outcomeUnknown: code === 'VAULT_NOT_VAULT',
  });
}

function judge(failed: FailedResponse): Verdict {
  const { status, path } = failed;
  const said = (pattern: RegExp) => failed.messages.some((text) => pattern.test(text));

  if (failed.wantsTls) return tlsPort(status);
  if (!failed.json) return notVault(status);
  if (status === 429) {
    return [
      'VAULT_RATE_LIMITED',
      'The server limits the rate of requests.',
      'Send fewer requests at a time, or raise the quota (sys/quotas/rate-limit).',
    ];
  }
  if (status === 472 || status === 473) return standby();
  if (status === 412) return behind();
  // A DR secondary gives this answer to all requests except those for its health.
  if (status === 400 && said(/DR secondary/)) return standby();
  if (status === 503) {
    if (said(/sealed/i)) {
      return [
        'VAULT_SEALED',
        'The server is sealed.',
        'Unseal it (or initialise it, if it is new). Until then, tokens and leases keep their TTLs.',
      ];
    }
    return standby();
  }
  // Vault always gives a reason; a gateway may not.
  if (status === 403 && failed.messages.length === 0) return notVault(status);
  // The status is 400 for a lease, and 500 for a token.
  if (said(/past the max TTL/i)) {
    return ['VAULT_LEASE_AT_MAX_TTL', 'The lease has reached its max TTL.', 'Only a new lease lasts longer.'];
  }
  const known = explained(failed, said);
  if (known) return [known.code, known.message, `${known.hint}${skewHint(failed)}`, known.version];
  if (status === 403) return forbidden(failed, said);
  if (status === 404) return notFound(failed, said);
  if (status === 413) {
    return ['VAULT_REQUEST_INVALID', 'The request is too large for the server.', 'Store less in one secret.'];
  }
  // Vault up to the end of 2023 answers 500 for a wrong password or secret_id.
  if (
    status === 400 ||
    status === 405 ||
    status === 415 ||
    said(/invalid (?:username or password|secret id)/i)
  )
    return badRequest(failed, said);
  if (said(/standby|no leader|not active|local node not active/i)) return standby();
  if (said(/connect|dial|timeout/i)) {
    return backendFailed(
      'cannot be reached by the server',
      'check that it runs and that the server may connect to it.',
    );
  }
  return [
    'VAULT_SERVER_ERROR',
    `The server failed with status ${status} at ${path}.`,
    'Check the log and the audit log of the server for the reason.',
  ];
}

/** A meaning that the auth method or an engine knows. */
function explained(
  { status, path, namespace = '', data, explain }: FailedResponse,
  said: Refusal['said'],
): PathExplanation | undefined {
  try {
    const known = handled(explain?.({ status, path, namespace, data, said }));
    const texts = [known?.code, known?.message, known?.hint];
    return texts.every((text) => typeof text === 'string') ? known : undefined;
  } catch {
    // One of the application may have a mistake; the refusal is what counts.
    return undefined;
  }
}

function forbidden(failed: FailedResponse, said: (pattern: RegExp) => boolean): Verdict {
  const { method } = failed;
  // The servers wrap a policy's refusal as "1 error occurred"; for an invalid token OpenBao gives the bare text, Vault
  // names it.
  if (said(/invalid token|bad token/) || !said(/1 error occurred/)) {
    return [
      'VAULT_TOKEN_INVALID',
      'The server does not know the token, or knows it no longer.',
      `It has expired, was revoked, has no uses left, or belongs to another ${failed.namespace ? 'namespace or ' : ''}server: ` +
        `check the address${failed.namespace ? ` and the namespace "${failed.namespace}"` : ''}. A token that is bound ` +
        `to other networks (token_bound_cidrs) is answered the same.${skewHint(failed)}`,
    ];
  }
  const capabilities = failed.capabilities ?? CAPABILITIES[method] ?? ['update'];
  const { namespace = '', tokenNamespace = namespace } = failed;
  const below = pathBelow(tokenNamespace, namespace);
  const place = namespace ? ` in namespace "${namespace}"` : '';
  if (below === undefined) {
    return [
      'VAULT_PERMISSION_DENIED',
      `A token of namespace "${tokenNamespace}" has no rights at ${failed.path} in ${nameOf(namespace)}.`,
      'A token works in the namespace that it was made in, and below: set `namespace` of the connection, or that of the ' +
        'auth method, so that the first lies in the second.',
    ];
  }
  // In the notation of policies, for copying.
  const path = below + decodeURIComponent(failed.path);
  return [
    'VAULT_PERMISSION_DENIED',
    `The policies of this login do not allow ${capabilities.join(' or ')} at ${decodeURIComponent(failed.path)}${place}.`,
    `Add to a policy of the role${place && `, in ${nameOf(tokenNamespace)}`}: path "${path}" { capabilities = ` +
      `${list(capabilities)} }. Without that capability, the server gives the same answer for a missing mount` +
      `${place ? '' : ', and for a mount in another namespace (`namespace` of the connection)'}.${skewHint(failed)}`,
  ];
}

function list(names: readonly string[]): string {
  return `[${names.map((name) => `"${name}"`).join(', ')}]`;
}

function notFound(failed: FailedResponse, said: (pattern: RegExp) => boolean): Verdict {
  const { path, namespace } = failed;
  if (said(/namespace not found/i)) {
    return [
      'VAULT_NAMESPACE_NOT_FOUND',
      `The server has no namespace "${namespace ?? ''}".`,
      'Correct `namespace`; its form is "team/app".',
    ];
  }
  if (said(/no handler for route/i)) {
    return [
      'VAULT_MOUNT_NOT_FOUND',
      `Nothing is mounted at ${path}.`,
      'Correct `mount`, or enable the engine there; `vault secrets list` shows what is mounted.',
    ];
  }
  return [
    'VAULT_SECRET_NOT_FOUND',
    `The server has nothing at ${path}.`,
    failed.missingHint ?? NO_PATH_RULES.missingHint,
  ];
}

function badRequest(failed: FailedResponse, said: (pattern: RegExp) => boolean): Verdict {
  const { path } = failed;
  if (said(/token had one use left/i)) {
    return [
      'VAULT_TOKEN_INVALID',
      'The token had one use left, and the server has taken it without executing the request.',
      'Raise token_num_uses of the role.',
    ];
  }
  if (said(/wrapping token is not valid or does not exist/i)) {
    return [
      'VAULT_WRAPPING_TOKEN_INVALID',
      'The wrapping token was used already, has expired, or never existed.',
      'SECURITY: if no application of yours unwrapped it, another party has the secret now. Destroy that secret (revoke it, if it ' +
        `is a token), find out which systems could read the wrapping token, and deliver a new one.${skewHint(failed)}`,
    ];
  }
  if (said(/unknown role/i)) {
    return [
      'VAULT_ROLE_NOT_FOUND',
      `There is no such role: ${path}.`,
      'Correct the name of the role; `vault list <mount>/roles` lists the roles.',
    ];
  }
  if (said(/lease not found|lease expired|invalid lease/i)) {
    return ['VAULT_LEASE_NOT_FOUND', 'The lease has ended.', 'Only a new lease can replace it.'];
  }
  if (said(/not renewable|cannot be renewed/i)) {
    return ['VAULT_LEASE_NOT_RENEWABLE', 'The lease cannot be renewed.', 'Only a new lease can replace it.'];
  }
  // The backend failed and the lease is valid. Vault answers 400 as for an unknown lease, so the message decides.
  if (said(/failed to (renew|revoke) entry|dial|connection refused/i)) {
    return backendFailed('did not answer the server', 'the lease stays valid meanwhile.');
  }
  const [, hint = DEFAULT_HINT] = PARAMETERS.find(([words]) => said(words)) ?? [];
  return ['VAULT_REQUEST_INVALID', refusesRequest(failed), hint];
}

/** The message about a request that is refused for its parameters. */
export function refusesRequest({ status, path }: Pick<Refusal, 'status' | 'path'>): string {
  return `The server refuses the request at ${path} (status ${status}).`;
}

function backendFailed(what: string, todo: string): Verdict {
  return [
    'VAULT_BACKEND_FAILED',
    `The system behind the secrets engine ${what}.`,
    `For the operator: ${todo}`,
  ];
}

function standby(): Verdict {
  return [
    'VAULT_STANDBY',
    'The cluster has no leader, or this node is a standby that does not forward.',
    'An election takes some seconds. Configure the addresses of all nodes, or of a balancer that follows the leader.',
  ];
}

function behind(): Verdict {
  return [
    'VAULT_STANDBY',
    'The node does not have a write yet that this read requires.',
    'Its replication is behind: check it, and the network between the nodes. If a snapshot was restored, the write is lost. ' +
      'Reads require a write only until a node has lacked it for `timeout`.',
  ];
}

/** Answers of servers and proxies (Go, nginx, Apache) to HTTP at a TLS port. */
const WANTS_TLS =
  /HTTP request to an HTTPS server|HTTP request was sent to HTTPS port|HTTP to an SSL-enabled/i;
/** Number of characters to search. */
const FIRST_WORDS = 2_048;

/** Whether an answer says that the port requires TLS. */
export function saysItWantsTls(status: number, body: string): boolean {
  return status === 400 && WANTS_TLS.test(body.slice(0, FIRST_WORDS));
}

function tlsPort(status: number): Verdict {
  return [
    'VAULT_NOT_VAULT',
    `The port requires TLS, and the request came without it (status ${status}).`,
    'Write https:// instead of http:// in `address`.',
  ];
}

/**
 * The error of an answer that is not of Vault: from a proxy, a balancer, another service. Its body is not shown.
 *
 * @param type content type, if it may be one that some paths of a server have by design
 */
export function notVault(status: number, type = ''): Verdict {
  const designed = /^(application\/(?!json)|text\/(?!html))/.test(type);
  return [
    'VAULT_NOT_VAULT',
    `The answer does not come from Vault (status ${status}, not in its form).`,
    (designed
      ? 'Read a path that answers in another form (a certificate, a CRL) with `responseType`. '
      : '') +
      'Check `address` (scheme, host, port, path): a web server, a proxy or a load balancer answers there.',
  ];
}
