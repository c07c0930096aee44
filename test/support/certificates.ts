import { execFileSync } from 'node:child_process';
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

  constructor(name = 'tests') {
    this.#dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-ca-'));
    const subject = `/CN=${name}`;
    this.#openssl('req', '-x509', ...this.#newKey('ca'), '-out', 'ca.pem', '-days', '2', '-subj', subject);
    this.certFile = join(this.#dir, 'ca.pem');
    this.cert = readFileSync(this.certFile, 'utf8');
  }

  /** `altName` as `IP:127.0.0.1` or `DNS:vault.internal`; negative `days` make one that has expired. */
  issue(name: string, altName: string, days = 2): Certificate {
    writeFileSync(join(this.#dir, `${name}.ext`), `subjectAltName=${altName}\n`);
    this.#openssl('req', ...this.#newKey(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', String(days)];
    const extensions = ['-extfile', `${name}.ext`];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...by, ...extensions, '-out', `${name}.pem`);
    const [certFile, keyFile] = [join(this.#dir, `${name}.pem`), join(this.#dir, `${name}.key`)];
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #newKey(name: string): string[] {
    const curve = 'ec_paramgen_curve:prime256v1';
    return ['-newkey', 'ec', '-pkeyopt', curve, '-nodes', '-keyout', `${name}.key`];
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#dir, stdio: 'pipe' });
  }
}
