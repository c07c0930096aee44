import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A token that the cluster made, as its TokenReview sees it. */
interface Claims {
  sub: string;
  exp: number;
  'kubernetes.io': { serviceaccount: { uid: string } };
}

/** The API of a Kubernetes cluster, as far as a Vault server asks it: TokenReview. */
export class TokenReviews {
  /** The tokens that were reviewed. */
  readonly reviewed: string[] = [];
  /** Milliseconds before each answer. */
  delay = 0;
  /** Tokens that the cluster rejects, beside the expired ones. */
  readonly #rejected = new Set<string>();
  #rejectsAll = false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { spec } = JSON.parse(Buffer.concat(chunks).toString()) as {
          spec: { token: string; audiences?: string[] };
        };
        this.reviewed.push(spec.token);
        const status = { ...this.#review(spec.token), audiences: spec.audiences };
        const answer = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status };
        response.writeHead(201, { 'content-type': 'application/json' });
        setTimeout(() => response.end(JSON.stringify(answer)), this.delay);
      });
    });
  }

  static async start(): Promise<TokenReviews> {
    const reviews = new TokenReviews();
    await new Promise<void>((resolve) => reviews.#server.listen(0, '127.0.0.1', resolve));
    return reviews;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Rejects one token, as after the end of its pod; without one, all tokens until {@link accept}. */
  reject(token?: string): void {
    if (token === undefined) this.#rejectsAll = true;
    else this.#rejected.add(token);
  }

  accept(): void {
    this.#rejectsAll = false;
  }

  #review(token: string): object {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
    if (this.#rejectsAll || this.#rejected.has(token) || claims.exp * 1_000 <= Date.now())
      return { authenticated: false, error: 'token is not valid' };
    const { uid } = claims['kubernetes.io'].serviceaccount;
    return { authenticated: true, user: { username: claims.sub, uid, groups: ['system:serviceaccounts'] } };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
