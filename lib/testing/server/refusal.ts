/** An answer that is not a success, in the server's words. */
export class Refusal extends Error {
  readonly errors: readonly string[];

  constructor(
    readonly status: number,
    ...errors: string[]
  ) {
    super(errors.join('; '));
    this.errors = errors;
  }
}

/** Nothing at that path in this simulation, and perhaps not on a server either. */
export class Unknown extends Refusal {}

/** A 404 without a body. */
export class EmptyNotFound extends Refusal {
  constructor() {
    super(404);
  }
}

/** A 404 with the server's advice in its warnings. */
export class WrongKvPath extends Refusal {
  constructor(readonly warnings: string[]) {
    super(404, ...warnings);
  }
}

/** How the server writes errors that it has collected. */
export const collected = (...errors: string[]) =>
  `${errors.length} error${errors.length === 1 ? '' : 's'} occurred:\n${errors.map((e) => `\t* ${e}\n`).join('')}\n`;

export const notFound = () => new Refusal(404);
