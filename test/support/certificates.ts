import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  certFile: string;
  keyFile: string;
  cert: string;
  key: string;
}

/** Whether certificates can be made here. */
export const opensslAvailable = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A certificate authority of its own, in a temporary folder. */
export class Authority {
  readonly certFile: string;
  readonly cert: string;
  readonly #dir: string;

  /** @param by the authority that signs it; without one, the result is a root */
  constructor(name = 'tests', by?: Authority) {
    this.#dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-ca-'));
    if (by) this.#sign('ca', name, 'basicConstraints=critical,CA:TRUE', by.#dir);
    else this.#selfSign('ca', name);
    this.certFile = join(this.#dir, 'ca.pem');
    this.cert = readFileSync(this.certFile, 'utf8');
  }

  /** `altName` as `IP:127.0.0.1` or `DNS:vault.internal`; negative `days` make an expired one. */
  issue(name: string, altName: string, days = 2): Certificate {
    this.#sign(name, name, `subjectAltName=${altName}`, this.#dir, days);
    return this.#read(name);
  }

  /** A certificate that no authority signed. */
  selfSigned(name: string, altName: string): Certificate {
    this.#selfSign(name, name, '-addext', `subjectAltName=${altName}`);
    return this.#read(name);
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #read(name: string): Certificate {
    const [certFile, keyFile] = [join(this.#dir, `${name}.pem`), join(this.#dir, `${name}.key`)];
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  }

  #selfSign(file: string, name: string, ...more: string[]): void {
    const made = [...this.#newKey(file), '-out', `${file}.pem`, '-days', '2', '-subj', `/CN=${name}`];
    this.#openssl('req', '-x509', ...made, ...more);
  }

  #sign(file: string, name: string, extensions: string, by: string, days = 2): void {
    writeFileSync(join(this.#dir, `${file}.ext`), `${extensions}\n`);
    this.#openssl('req', ...this.#newKey(file), '-out', `${file}.csr`, '-subj', `/CN=${name}`);
    const ca = ['-CA', join(by, 'ca.pem'), '-CAkey', join(by, 'ca.key'), '-CAcreateserial'];
    const made = ['-days', String(days), '-extfile', `${file}.ext`, '-out', `${file}.pem`];
    this.#openssl('x509', '-req', '-in', `${file}.csr`, ...ca, ...made);
  }

  #newKey(name: string): string[] {
    const curve = 'ec_paramgen_curve:prime256v1';
    return ['-newkey', 'ec', '-pkeyopt', curve, '-nodes', '-keyout', `${name}.key`];
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#dir, stdio: 'pipe' });
  }
}

/** The key in a file, as PEM that needs a passphrase. */
export function encryptKey(keyFile: string, passphrase: string): string {
  const key = createPrivateKey(readFileSync(keyFile));
  return String(key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }));
}

/** A certificate with its key as PKCS #12; `more` are options of openssl. */
export function pkcs12({ certFile, keyFile }: Certificate, passphrase: string, ...more: string[]): Buffer {
  const given = ['-export', '-inkey', keyFile, '-in', certFile, '-passout', `pass:${passphrase}`];
  return execFileSync('openssl', ['pkcs12', ...given, ...more], { stdio: ['ignore', 'pipe', 'ignore'] });
}
