import { X509Certificate } from 'node:crypto';
import { list, text } from '../server/fields.js';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { Refusal } from '../server/refusal.js';
import { route, type Route } from '../server/route.js';
import type { ServerContext } from '../server/server-context.js';
import { Entries } from './entries.js';
import {
  checkBoundCidrs,
  checkPolicies,
  checkTokenFields,
  describeTokenFields,
  loginToken,
  policiesOf,
  tokenBounds,
  type Fields,
} from './login-tokens.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault'>;

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
/** DER of the two identifiers of extensions, and the number of bytes from there to the length of the key's identifier. */
const SUBJECT_KEY = { oid: '0603551d0e', before: 3 };
const AUTHORITY_KEY = { oid: '0603551d23', before: 5 };
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Client certificates, by the authorities of roles. */
export class Cert implements Backend {
  readonly type = 'cert';
  readonly #server: Server;
  readonly #roles = new Entries();
  readonly #routes: readonly Route[];
  #config: Fields = {};

  constructor(server: Server) {
    this.#server = server;
    this.#routes = [
      [['update'], /^login$/, (call) => this.#login(call)],
      [['update'], /^config$/, ({ body }) => void Object.assign(this.#config, body)],
      ...this.#roles.routes('certs', checkTokenFields, (fields) => ({
        certificate: fields['certificate'],
        ...describeTokenFields(fields, server.vault),
      })),
    ];
  }

  open(path: string): boolean {
    return path === 'login';
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #login(call: Call): Result {
    const certificate = this.#presented(call);
    const { name, role } = this.#match(certificate, text(call.body['name']));
    checkBoundCidrs(call, role);
    const { token, warnings } = this.#server.tokens.create(
      loginToken(call, role, {
        displayName: `cert-${name}`,
        meta: {
          authority_key_id: keyId(certificate, AUTHORITY_KEY),
          cert_name: name,
          common_name: commonName(certificate),
          serial_number: BigInt(`0x${certificate.serialNumber}`).toString(),
          subject_key_id: keyId(certificate, SUBJECT_KEY),
        },
        renewal: (renewing) => {
          const present = this.#roles.get(name);
          if (!present && !this.#server.vault) return undefined;
          if (this.#config['disable_binding'] !== true) {
            const other = this.#presented(renewing);
            // The servers compare the identifiers of key and authority.
            if (!other.publicKey.equals(certificate.publicKey) || !present) throw this.#noMatch();
            this.#match(other, name);
          }
          checkPolicies({ policies: policiesOf(role) }, present ?? {});
          return tokenBounds(present ?? {});
        },
      }),
    );
    return { auth: token, warnings };
  }

  #presented({ certificate }: Call): X509Certificate {
    if (certificate) return new X509Certificate(certificate);
    throw new Refusal(
      400,
      this.#server.vault ? 'client certificate must be supplied' : 'no client certificate found',
    );
  }

  /** Finds the role of a certificate: the named one, or the first that fits. */
  #match(certificate: X509Certificate, wanted: string): { name: string; role: Fields } {
    const names = wanted === '' ? this.#roles.names : [wanted];
    const trusted = names.flatMap((name) => {
      const role = this.#roles.get(name);
      return role && isSignedBy(certificate, authoritiesOf(role)) ? [{ name, role }] : [];
    });
    if (trusted.length === 0)
      throw this.#server.vault
        ? this.#noMatch()
        : new Refusal(400, 'invalid certificate or no client certificate supplied');
    this.#checkUse(certificate);
    const found = trusted.find(({ role }) => isAllowed(certificate, role));
    if (!found) throw this.#noMatch();
    return found;
  }

  #noMatch(): Refusal {
    return new Refusal(
      400,
      this.#server.vault
        ? 'failed to match all constraints for this login certificate'
        : 'no chain matching all constraints could be found for this login certificate',
    );
  }

  #checkUse({ validFrom, validTo, keyUsage }: X509Certificate): void {
    const failed = (why: string) => new Refusal(500, `failed to verify client's certificate: x509: ${why}`);
    const { now } = this.#server.time;
    if (now < Date.parse(validFrom) || now > Date.parse(validTo)) {
      const at = this.#server.time.date();
      throw failed(
        `certificate has expired or is not yet valid: current time ${at} is after ${new Date(validTo).toISOString()}`,
      );
    }
    const usages = keyUsage as string[] | undefined;
    if (usages && usages.length > 0 && !usages.includes(CLIENT_AUTH))
      throw failed('certificate specifies an incompatible key usage');
  }
}

function authoritiesOf(role: Fields): X509Certificate[] {
  return (text(role['certificate']).match(PEM) ?? []).map((pem) => new X509Certificate(pem));
}

function isSignedBy(certificate: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  return authorities.some(
    (authority) =>
      authority.fingerprint256 === certificate.fingerprint256 ||
      (certificate.checkIssued(authority) && certificate.verify(authority.publicKey)),
  );
}

/** The extension with the identifier of a key, as hexadecimal digits with colons; '' without it. Node does not show it. */
function keyId({ raw }: X509Certificate, { oid, before }: { oid: string; before: number }): string {
  const at = raw.indexOf(oid, 'hex');
  if (at < 0) return '';
  const length = at + oid.length / 2 + before;
  const id = raw.subarray(length + 1, length + 1 + (raw[length] ?? 0));
  return (id.toString('hex').match(/../g) ?? []).join(':');
}

const commonName = ({ subject }: X509Certificate) => /^CN=(.*)$/m.exec(subject)?.[1] ?? '';

/** Whether a certificate has one of the names that a role allows. */
function isAllowed(certificate: X509Certificate, role: Fields): boolean {
  const alternative = (kind: string) =>
    (certificate.subjectAltName ?? '')
      .split(', ')
      .filter((one) => one.startsWith(`${kind}:`))
      .map((one) => one.slice(kind.length + 1));
  const units = [...certificate.subject.matchAll(/^OU=(.*)$/gm)].map(([, unit = '']) => unit);
  return (
    isListed(role['allowed_common_names'], [commonName(certificate)]) &&
    isListed(role['allowed_dns_sans'], alternative('DNS')) &&
    isListed(role['allowed_uri_sans'], alternative('URI')) &&
    isListed(role['allowed_email_sans'], alternative('email')) &&
    isListed(role['allowed_organizational_units'], units)
  );
}

function isListed(allowed: unknown, names: readonly string[]): boolean {
  const patterns = list(allowed);
  return patterns.length === 0 || names.some((name) => patterns.some((pattern) => matches(pattern, name)));
}

/** A `*` at either end stands for any text. */
function matches(pattern: string, name: string): boolean {
  if (pattern === name || pattern === '*') return true;
  if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
  return pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1));
}
