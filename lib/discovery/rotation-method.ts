import { catchError, Subscription, switchMap, take, type Observable } from 'rxjs';
import { background } from '../clock/background.js';
import { codeOf } from '../errors/printable.js';
import { VaultError, type VaultErrorCode } from '../errors/vault-error.js';
import type { VaultLogCode } from '../events/log-lines.js';
import { linkOf } from '../leases/connection-link.js';
import type { LeaseInfo } from '../leases/lease-info.js';

/** A problem of one method, without secrets; the text is the end of a sentence about it. */
export interface RotationProblem {
  readonly code: Extract<VaultLogCode, `rotation-method-${string}`>;
  readonly text: string;
  readonly errorCode?: VaultErrorCode;
}

/** Calls one method of one object after each value but the first. Errors are reported, never thrown. */
export class RotationMethod {
  /** Weak, so that an object of `ModuleRef.create` ends with its last user. */
  readonly #host: WeakRef<object>;
  readonly #method: string | symbol;
  readonly #report: (problem: RotationProblem) => void;
  readonly #subscription = new Subscription();
  #seen = false;
  /** The reported problem of the first value. */
  #unread: string | undefined;
  /** The newest value that the method has not got yet. */
  #next: { value: unknown } | undefined;
  #begun = false;
  #running = false;
  /** The running call: `late` after a report that rotations wait for it. */
  #state: 'none' | 'running' | 'late' = 'none';

  /**
   * @param again emits when another attempt may succeed, if the first value could not be read
   */
  constructor(
    host: object,
    method: string | symbol,
    values$: Observable<unknown>,
    report: (problem: RotationProblem) => void,
    again: Observable<unknown>,
  ) {
    this.#host = new WeakRef(host);
    this.#method = method;
    this.#report = report;
    // The option `delay` of retry() needs a later RxJS than this package does.
    const readLater = (error: unknown, values: Observable<unknown>) => {
      const problem = described(error);
      if (problem !== this.#unread)
        this.#report({
          code: 'rotation-method-unread',
          text: `is not called, because the first value could not be read: ${problem}`,
          ...codeOfError(error),
        });
      this.#unread = problem;
      return again.pipe(
        take(1),
        switchMap(() => values),
      );
    };
    this.#subscription.add(
      values$.pipe(catchError(readLater)).subscribe({
        next: (value) => this.#onValue(value),
        error: () => undefined,
      }),
    );
  }

  /** The object; undefined if nothing holds it any more. */
  get host(): object | undefined {
    return this.#host.deref();
  }

  /** The application has started. */
  begin(): void {
    this.#begun = true;
    void this.#run();
  }

  /** No call begins from now on. */
  end(): void {
    this.#subscription.unsubscribe();
    this.#next = undefined;
  }

  #onValue(value: unknown): void {
    // One rotation may come during a call; a second one means that the call takes as long as a whole interval.
    if (this.#next && this.#state === 'running') {
      this.#state = 'late';
      this.#report({
        code: 'rotation-method-late',
        text: 'has not ended for two rotations: its promise must resolve before the next call',
      });
    }
    if (this.#seen) this.#next = { value };
    this.#seen = true;
    if (!this.host) return this.end();
    if (this.#begun) void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (let next = this.#next; next; next = this.#next) {
      // Other subscribers may get this value after this one.
      await Promise.resolve();
      await whenInPlace(next.value);
      if (next !== this.#next) continue;
      this.#next = undefined;
      await this.#call(next.value);
    }
    this.#running = false;
  }

  async #call(value: unknown): Promise<void> {
    const host = this.host as Record<string | symbol, (value: unknown) => unknown> | undefined;
    this.#state = 'running';
    try {
      await background(() => host?.[this.#method]?.(value));
    } catch (error) {
      this.#report({
        code: 'rotation-method-failed',
        text: `failed: ${described(error)}`,
        ...codeOfError(error),
      });
    } finally {
      this.#state = 'none';
    }
  }
}

/** Resolves when the pools that log in with the previous credentials use these. */
async function whenInPlace(value: unknown): Promise<void> {
  const { lease } = (value ?? {}) as { lease?: LeaseInfo };
  if (lease) await linkOf(lease)?.whenPoolsUse(lease.path, lease.serial);
}

function codeOfError(error: unknown): Pick<RotationProblem, 'errorCode'> {
  return error instanceof VaultError ? { errorCode: error.code } : {};
}

/** Only errors of this package are free of secrets. */
function described(error: unknown): string {
  return error instanceof VaultError ? error.message : codeOf(error);
}
